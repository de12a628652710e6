"""The HTTP door: FastAPI over one predictor, with a WebSocket for live audio."""
