"""One architecture a file; each exports Params and build."""
