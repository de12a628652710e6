"""The page: clips in, emotions out. Run by `streamlit run ser/app/main.py`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ser.app import charts, curves, results, words
from ser.app.model_card import show_card, summary
from ser.app.results import Result
from ser.app.state import (
    DRAWN_S,
    Clip,
    Model,
    Sound,
    Voice,
    find_models,
    load_models,
    make_voice,
    measures,
    predict,
    profile_of,
    read_sound,
    timeline,
)
from ser.bundle import BundleError
from ser.errors import SerError
from ser.prediction import Prediction
from ser.profile import FEWEST_CLIPS
from ser.timeline import TimelineParams
from ser.timeline_formats import segments_of, to_csv

_SUFFIXES = ["wav", "mp3", "flac", "ogg", "oga", "opus", "m4a", "webm"]
_TIMELINE_FROM_S = 6.0  # twice the timeline's window: less has no course to show
_ASKED_FROM_S = 300.0  # longer recordings take a while: their timeline waits for a click
_N_COMPARED = 12  # clips on the page against which one is held up


def main() -> None:
    """Lay out the page from top to bottom."""
    st.set_page_config("Speech emotion", page_icon=":material/graphic_eq:", layout="centered")
    st.html(f"<style>{words.STYLE}</style>")
    st.title("Speech emotion")
    st.caption(words.TAGLINE)
    models = _choose_models()
    _flag_demo(models)
    clips = _ask_for_clips()
    voice = _ask_for_voice(models)
    answered = _answer(clips, models, voice)
    if len(answered) > 1:
        _show_table([result for _, result in answered], models)
    if answered:
        clip, result = _choose_clip(answered)
        _show_clip(clip, result, models, voice, others=[other for other, _ in answered if other is not clip])
    for model in models:
        show_card(model)
    st.caption(f"{words.PRIVACY} {words.NOT_FOR}")


def _choose_models() -> list[Model]:
    """The models chosen in the sidebar; without one the page ends with the reason."""
    try:
        folders = find_models()
    except BundleError as error:
        st.error(str(error))
        st.stop()
    with st.sidebar:
        st.subheader("Models")
        chosen = st.multiselect("Compare side by side", list(folders), default=[next(iter(folders))], key="models")
        models, troubles = load_models(folders, chosen)
        for model in models:
            st.caption(summary(model))
    for trouble in troubles:
        st.error(trouble)
    if not models:
        st.info("Choose a model in the sidebar.")
        st.stop()
    return models


def _flag_demo(models: Sequence[Model]) -> None:
    if demo := [words.plain(model.name) for model in models if model.synthetic]:
        st.warning(words.DEMO.format(models=", ".join(demo)), icon=":material/warning:")


def _ask_for_clips() -> list[Clip]:
    upload, record = st.tabs(["Upload", "Record"])
    with upload:
        files = st.file_uploader(
            "Speech, one file or many", type=_SUFFIXES, accept_multiple_files=True, key="files", label_visibility="collapsed"
        )
    with record:
        recorded = st.audio_input("Speak for a few seconds", key="recorded")
    clips = [Clip.of(file.name, file.getvalue()) for file in files]
    return [Clip.of("recording.wav", recorded.getvalue()), *clips] if recorded else clips


def _ask_for_voice(models: Sequence[Model]) -> Voice:
    """The enrolled voice: it is used for as long as its clips stay in their box."""
    with st.expander("Make it know this voice", icon=":material/record_voice_over:"):
        st.caption(words.VOICE_HELP)
        files = st.file_uploader(
            "Clips of one speaker", type=_SUFFIXES, accept_multiple_files=True, key="voice", label_visibility="collapsed"
        )
        voice, troubles = make_voice([Clip.of(file.name, file.getvalue()) for file in files], models[0])
        for name, trouble in troubles.items():
            st.error(f"{words.plain(name)}: {words.plain(trouble)}")
        if files and len(voice.clips) < FEWEST_CLIPS:
            st.info(f"{len(voice.clips)} usable so far; at least {FEWEST_CLIPS} clips are needed.")
        wanted = len(voice.clips) >= FEWEST_CLIPS and st.toggle("Use this voice", value=True, key="use_voice")
    if not wanted:
        return Voice()
    able = [words.plain(model.name) for model in models if profile_of(voice, model)]
    if able:
        st.success(f"{', '.join(able)}: this voice is known from {len(voice.clips)} clips.", icon=":material/record_voice_over:")
    if unable := [words.plain(model.name) for model in models if not profile_of(voice, model)]:
        st.info(f"{', '.join(unable)} cannot know a voice and answers as before.")
    return voice


def _answer(clips: Sequence[Clip], models: Sequence[Model], voice: Voice) -> list[tuple[Clip, Result]]:
    """Every usable clip with its answers; for each of the others one sentence on the page."""
    answered, troubles = [], []
    progress = st.progress(0.0, "Listening") if len(clips) > 1 else st.empty()
    for number, clip in enumerate(clips, start=1):
        try:
            predictions = {model.name: predict(clip, model, voice) for model in models}
            answered.append((clip, Result(clip.name, predictions)))
        except SerError as error:
            troubles.append(f"**{words.plain(clip.name)}**: {words.plain(str(error))}")
        if len(clips) > 1:
            progress.progress(number / len(clips), f"Listening: {number} of {len(clips)}")
    progress.empty()
    for trouble in troubles:
        st.error(trouble, icon=":material/block:")
    return answered


def _show_table(answers: Sequence[Result], models: Sequence[Model]) -> None:
    st.subheader(f"{len(answers)} clips")
    table = results.shown(answers)
    percent = {
        name: st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1) for name in table if "Probab" in name
    }
    st.dataframe(table, hide_index=True, column_config=percent, height=min(36 * (len(table) + 1) + 2, 400))
    for model in models:
        if score := results.score(answers, model.name):
            st.markdown(
                f"**{words.plain(model.name)}**: {score.n_right} of {score.n_known} right where the file's name tells the "
                f"acted emotion (accuracy {words.percent(score.accuracy)}, UAR {words.percent(score.uar)})."
            )
    st.download_button("Results as CSV", results.csv(answers), "emotions.csv", "text/csv", icon=":material/download:")


def _choose_clip(answered: Sequence[tuple[Clip, Result]]) -> tuple[Clip, Result]:
    if len(answered) == 1:
        return answered[0]
    names = [f"{number}. {clip.name}" for number, (clip, _) in enumerate(answered, start=1)]
    chosen = st.selectbox("Look closer at", range(len(names)), format_func=names.__getitem__, key="clip")
    return answered[chosen or 0]


def _show_clip(clip: Clip, result: Result, models: Sequence[Model], voice: Voice, others: Sequence[Clip]) -> None:
    st.markdown(f"**{words.plain(clip.name)}**")
    if len(models) == 1:
        verdict, chart = st.columns([2, 3], vertical_alignment="center")
        _show_verdict(result.predictions[models[0].name], models[0], verdict, chart)
        st.caption(summary(models[0]))
    else:
        for model, column in zip(models, st.columns(len(models)), strict=True):
            column.markdown(f"**{words.plain(model.name)}**")
            _show_verdict(result.predictions[model.name], model, column, column)
    st.audio(clip.data)
    sound = read_sound(clip, models[0].predictor.audio)
    for model in models:
        _show_reasons(clip, sound, result.predictions[model.name], model, named=len(models) > 1)
    _show_sound(sound, models[0])
    _show_prosody(clip, models[0], voice, others)
    if sound.duration_s > _TIMELINE_FROM_S:
        for model in models:
            _show_timeline(clip, sound, model, voice, named=len(models) > 1)


def _show_verdict(prediction: Prediction, model: Model, verdict: DeltaGenerator, chart: DeltaGenerator) -> None:
    emotion = words.with_emoji(prediction.emotion)
    said = words.UNSURE if prediction.unsure else words.SURE
    verdict.markdown(f"## {'unsure' if prediction.unsure else emotion}")
    threshold = words.percent(prediction.unsure_below)
    verdict.markdown(said.format(emotion=emotion, confidence=words.percent(prediction.confidence), threshold=threshold))
    chart.altair_chart(charts.probabilities(prediction), key=f"probabilities-{model.name}")


def _show_reasons(clip: Clip, sound: Sound, prediction: Prediction, model: Model, *, named: bool) -> None:
    """Waveform with the attention on it, and where the attention went in words."""
    st.markdown(f"#### What it listened to{f' · {words.plain(model.name)}' if named else ''}")
    attention = prediction.attention
    chart = charts.waveform(sound.extremes, sound.duration_s, prediction.attention_times_s, attention)
    st.altair_chart(chart, key=f"waveform-{model.name}")
    stretches = curves.attended(prediction.attention_times_s, attention)
    if stretches:
        digits = 2 if sound.duration_s < 10 else 1
        listed = ", ".join(f"{start:.{digits}f} to {min(end, sound.duration_s):.{digits}f} s" for start, end in stretches[:4])
        st.caption(f"Half of the model's attention went to {listed}; the stronger the colour, the more.")
    elif not len(attention):
        st.caption("This answer rests on the clip as a whole: there is no attention over time to draw.")


def _show_sound(sound: Sound, model: Model) -> None:
    drawn_s = len(sound.signal) / model.predictor.audio.sampling_rate_hz
    front_end = curves.display_spectrogram(model.predictor.description, model.predictor.audio.sampling_rate_hz)
    st.markdown(f"#### How it sounds{f' · first {DRAWN_S:.0f} s' if sound.duration_s > drawn_s + 0.1 else ''}")
    st.altair_chart(charts.log_mel(curves.log_mel(sound.signal, front_end), drawn_s), key="log_mel")
    times, f0 = curves.pitch(sound.signal, front_end.sampling_rate_hz)
    st.altair_chart(charts.pitch(times, f0, drawn_s), key="pitch")
    channels = {1: "mono", 2: "stereo"}.get(sound.channels, f"{sound.channels} channels")
    st.caption(f"Log-mel spectrogram and pitch. {words.clock(sound.duration_s)}, {sound.sampling_rate_hz} Hz, {channels}.")


def _show_prosody(clip: Clip, model: Model, voice: Voice, others: Sequence[Clip]) -> None:
    values = {name: value for name, value in measures(clip, model).items() if name in words.MEASURES and value == value}
    if not values:
        return
    against = [other for other in (voice.clips or others) if other.sha256 != clip.sha256][:_N_COMPARED]
    known = curves.standing_out(values, [measures(other, model) for other in against])
    st.markdown("#### What stands out in the voice")
    whose = "the enrolled clips" if voice.clips else "the other clips on this page"
    if len(against) < 4:
        st.caption("Add four more clips of this speaker, here or as the known voice, to see what is unusual in this one.")
    elif not known:
        st.caption(f"Nothing lies 1.5 standard deviations or more from the mean of {whose}.")
    for name, (usual, distance) in known.items():
        measure = words.MEASURES[name]
        compared = measure.higher if distance > 0 else measure.lower
        st.markdown(f"- {measure.label} **{compared}**: {measure.text(values[name])}; mean of {whose} {measure.text(usual)}")
    with st.expander("All measures"):
        rows = [(words.MEASURES[name].label, words.MEASURES[name].text(value)) for name, value in values.items()]
        st.dataframe(pd.DataFrame(rows, columns=["Measure", "This clip"]), hide_index=True, height="content")


def _show_timeline(clip: Clip, sound: Sound, model: Model, voice: Voice, *, named: bool) -> None:
    st.markdown(f"#### Over time{f' · {words.plain(model.name)}' if named else ''}")
    if sound.duration_s > _ASKED_FROM_S and not st.toggle(
        f"Follow all {words.clock(sound.duration_s)} (takes a while)", key=f"follow-{model.name}-{clip.sha256}"
    ):
        return
    points = timeline(clip, model, voice)
    if not points:
        return
    spans = curves.drawn_spans(np.array([(point.start_s, point.end_s) for point in points]), sound.duration_s)
    st.altair_chart(charts.timeline(points, spans), key=f"timeline-{model.name}")
    st.caption(words.TIMELINE.format(window=TimelineParams().window_s))
    segments = [(words.clock(s.start_s), words.clock(s.end_s), s.label or "nobody speaks") for s in segments_of(points)]
    with st.expander(f"{len(segments)} stretches, one after the other"):
        st.dataframe(pd.DataFrame(segments, columns=["From", "To", "Verdict"]), hide_index=True)
    st.download_button(
        "Timeline as CSV",
        to_csv(points),
        "timeline.csv",
        "text/csv",
        key=f"timeline-csv-{model.name}",
        icon=":material/download:",
    )


if __name__ == "__main__":
    main()
