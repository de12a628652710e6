"""The Streamlit app: a door for people, started by `streamlit run ser/app/main.py`."""
