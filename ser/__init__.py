"""Speech emotion recognition: corpora, features, augmentation, models and honest evaluation."""
