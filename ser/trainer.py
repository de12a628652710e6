"""From tables and feature stores to a trained model on disk."""

import hashlib
import inspect
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import ser.batches
import ser.heads
import ser.layers
import ser.losses
import ser.training
from ser.batches import Batches, BatchParams
from ser.classical import FitParams, fit_classifier
from ser.errors import SerError
from ser.features import Clip, Features
from ser.files import read_csv, replacing, write_csv
from ser.heads import make_heads
from ser.live_tracking import LiveRun
from ser.soft_targets import read_soft
from ser.statistics import column_statistics
from ser.trained import FITTED, NETWORK, FittedModel, load_model, save_model
from ser.training import TrainParams, Validation, fit, forget, reproducible
from ser.transfer import take_over

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)
Report = Callable[[int, dict[str, float]], None]


class TrainerError(SerError):
    """The tables leave nothing to train on, or a file that the training reads is missing."""


@dataclass(frozen=True)
class Trainer:
    """One model's architecture and settings, ready to be trained."""

    name: str
    architecture: ModuleType
    sizes: Any
    training: TrainParams | FitParams
    batches: BatchParams
    emotions: tuple[str, ...]
    start: Path | None = None  # folder of a trained model of the same architecture, whose weights are taken over
    soft: Path | None = None  # table of target distributions (id, p_<emotion>...), mixed in as the batches' `soft_share` says

    def run(self, cleaned: Path, features_dir: Path, out: Path, resume_dir: Path) -> None:
        """Train on the rows marked `train`, choose on `validation`, write the bundle.

        Args:
            cleaned: `cleaned_data.csv`.
            features_dir: folder of the feature stores.
            out: folder to write; the models it builds on are looked for beside it.
            resume_dir: where a training leaves its state after each epoch.
        """
        table = read_csv(cleaned)
        features = Features(features_dir)
        train = table[table["split"] == "train"].reset_index(drop=True)
        validation = table[table["split"] == "validation"].reset_index(drop=True)
        if train.empty:
            raise TrainerError(f"{cleaned}: no row has split 'train'; look at the split section of params.yaml")
        fingerprint = self._fingerprint(cleaned, features_dir, sorted(set(train["corpus"])), out)
        heads = make_heads(train, getattr(self.training, "heads", {}))
        soft = read_soft(self.soft, self.emotions) if self.soft else {}
        batches = Batches(train, features, self.architecture.INPUTS, self.emotions, self.batches, self.training.seed, soft, heads)
        network = None if isinstance(self.training, FitParams) else self._network(batches, train, features, out.parent)
        chooser = Validation(validation, features, self.architecture.INPUTS, self.emotions, self.batches.n_frames)
        live = LiveRun.start(self.name, fingerprint, self._settings())
        logger.info(
            "train %s: %d utterances of %d speakers, validated on %d of %d",
            self.name, len(train), train["speaker"].nunique(), len(validation), validation["speaker"].nunique(),
        )  # fmt: skip

        def report(epoch: int, values: dict[str, float]) -> None:
            live.log(epoch, {key: value for key, value in values.items() if key != "epoch"})
            figures = ", ".join(f"{key} {value:.4f}" for key, value in values.items() if key != "epoch")
            logger.info("%s epoch %d/%d: %s", self.name, epoch, self.training.epochs, figures)

        start = time.perf_counter()
        resume = resume_dir / self.name / f"{fingerprint[:16]}-{_code_hash(self.architecture)}.npz"
        if network is None:
            model, history = self._fit(batches, chooser, report)
        else:
            model, history = network, fit(network, batches, chooser, self.training, resume, report, heads)
        logger.info("%s: %d weights", self.name, model.count_params())
        live.finish(time.perf_counter() - start)
        self._write(out, model, history, fingerprint, features, train, cleaned)
        forget(resume)

    def _fit(self, batches: Batches, chooser: Validation, report: Report) -> tuple[FittedModel, list[dict[str, float]]]:
        """Have scikit-learn fit the model; its history is one epoch."""
        (kind,) = self.architecture.INPUTS
        estimator = self.architecture.estimator(self.sizes, self.training.seed)
        model, loss = fit_classifier(estimator, batches, kind, self.training.epochs)
        row = {"epoch": 1, "loss": loss}
        if len(chooser.rows):
            row |= chooser.score(model)
        report(1, row)
        return model, [row]

    def _network(self, batches: Batches, train: pd.DataFrame, features: Features, models_dir: Path) -> "keras.Model":
        """A network with all that is fitted before its training."""
        model = self._build(train, features, models_dir)
        self._set_statistics(model, batches, train, features)
        if self.start is not None:  # its statistics too, which its weights were learned with
            take_over(model, self.emotions, self.start)
        return model

    def _build(self, train: pd.DataFrame, features: Features, models_dir: Path) -> "keras.Model":
        import keras

        reproducible(self.training.seed)
        keras.config.set_dtype_policy(self.training.precision)
        first = Clip(train["id"].iloc[0], train["corpus"].iloc[0])
        shapes: dict[str, tuple[int | None, ...]] = {}
        for kind in self.architecture.INPUTS:
            shape = features.get(kind, first).shape
            shapes[kind] = (self.batches.n_frames, *shape[1:]) if kind == "spectrogram" else shape
        extra: dict[str, Any] = {}
        if self._bases:
            extra["bases"] = {name: load_model(models_dir / name) for name in self._bases}
        if hasattr(self.architecture, "fit"):
            extra["fitted"] = self._fitted(train, features)
        return self.architecture.build(shapes, len(self.emotions), self.sizes, **extra)

    def _fitted(self, train: pd.DataFrame, features: Features) -> dict[str, np.ndarray]:
        """What the architecture learns of the original training clips before it can be built."""
        kind = self.architecture.INPUTS[0]
        rows = np.stack([features.get(kind, Clip(row.id, row.corpus)) for row in train.itertuples()])
        labels = np.array([self.emotions.index(emotion) for emotion in train["emotion"]])
        return self.architecture.fit(rows, labels, self.sizes, self.training.seed)

    def _set_statistics(self, model: "keras.Model", batches: Batches, train: pd.DataFrame, features: Features) -> None:
        """Fit every normalisation inside the model on the original training clips, and on nothing else."""
        names = {layer.name: layer for layer in model.layers}
        for kind in self.architecture.INPUTS:
            layer = names.get(f"standardise_{kind}")  # absent where it is inside a model that this one builds on
            if layer is None:
                continue
            arrays = (features.get(kind, Clip(row.id, row.corpus)) for row in train.itertuples())
            statistics = column_statistics(arrays, level_free=layer.level_free)
            mean, deviation = (values.astype(np.float32) for values in statistics)
            layer.set_statistics(mean, deviation)
            if kind == "prosody":
                batches.deviation = deviation

    @property
    def _bases(self) -> tuple[str, ...]:
        return getattr(self.architecture, "BASES", ())

    def _settings(self) -> dict[str, Any]:
        return {
            "architecture": asdict(self.sizes),
            "training": asdict(self.training),
            "batches": asdict(self.batches),
            "emotions": list(self.emotions),
        }

    def _fingerprint(self, cleaned: Path, features_dir: Path, corpora: Sequence[str], out: Path) -> str:
        """Hash of the settings and of every byte this training reads."""
        digest = hashlib.sha256(json.dumps([self.name, self._settings()], sort_keys=True).encode())
        for path in self._inputs(cleaned, features_dir, corpora, out):
            digest.update(str(path.name).encode())
            try:
                with open(path, "rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
            except FileNotFoundError:
                raise TrainerError(f"{path}: no such file; run `dvc repro`") from None
        return digest.hexdigest()

    def _inputs(self, cleaned: Path, features_dir: Path, corpora: Sequence[str], out: Path) -> Iterator[Path]:
        yield cleaned
        for kind in (kind for kind in self.architecture.INPUTS if kind != "speaker"):
            for variant in ("clean", "augmented"):
                for corpus in corpora:
                    folder = features_dir / kind / variant / corpus
                    yield from (folder / name for name in ("index.csv", "recipe.json", "values.npy"))
        for base in self._bases:
            yield out.parent / base / NETWORK
        if self.start is not None:
            yield self.start / NETWORK
        if self.soft is not None:
            yield self.soft

    def _write(
        self,
        out: Path,
        model: "keras.Model | FittedModel",
        history: list[dict[str, float]],
        fingerprint: str,
        features: Features,
        train: pd.DataFrame,
        cleaned: Path,
    ) -> None:
        corpora = sorted(set(train["corpus"]))
        description = {
            "model": self.name,
            "emotions": list(self.emotions),
            "inputs": {kind: features.recipe(kind, corpora) for kind in self.architecture.INPUTS if kind != "speaker"},
            "n_frames": self.batches.n_frames,
            "n_parameters": model.count_params(),
            "corpora": corpora,
            "fingerprint": fingerprint,
            "split_sha256": split_hash(cleaned),
            "validation": max(history, key=lambda row: (row.get("validation_uar", 0.0), row["epoch"])),
        }
        with replacing(out) as temporary:
            temporary.mkdir()
            if isinstance(model, FittedModel):
                (temporary / FITTED).write_bytes(model.graph)
            else:
                save_model(model, temporary / NETWORK)
            write_csv(temporary / "history.csv", pd.DataFrame(history).astype({"epoch": int}).round(6))
            for name, content in {"model.json": description, "params.json": self._settings()}.items():
                (temporary / name).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def split_hash(cleaned: Path) -> str:
    """Hash of who is in which part: utterance ids and their split, nothing else."""
    table = read_csv(cleaned)[["id", "split"]].sort_values("id")
    return hashlib.sha256(table.to_csv(index=False, lineterminator="\n").encode()).hexdigest()


def _code_hash(architecture: ModuleType) -> str:
    """Hash of the code whose change makes an interrupted training's state worthless."""
    modules = (architecture, ser.batches, ser.heads, ser.layers, ser.losses, ser.training)
    sources = "".join(inspect.getsource(module) for module in modules)
    return hashlib.sha256(sources.encode()).hexdigest()[:8]
