"""The models on published speaker-independent protocols: a second pipeline, `benchmarks/dvc.yaml`."""
