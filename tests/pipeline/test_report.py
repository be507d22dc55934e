"""results/report.html: one page without a network, which says what the result files say."""

import html
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean, stdev

import pytest
from conftest import ROOT, InlineExecutor, make_params
from ruamel.yaml import YAML

from reprotune.advice import checks
from reprotune.advice.run import Advice, read_run
from reprotune.artifacts import flat, read_csv, read_json, read_yaml, write_json
from reprotune.data.stored import Own, StoredDataset
from reprotune.errors import UserError
from reprotune.figures import model as model_figures
from reprotune.figures import study as study_figures
from reprotune.params import Params
from reprotune.pipeline import evaluation, page, report
from reprotune.pipeline.run_study import run_study
from reprotune.results import classification, read
from reprotune.results.scores import titles
from reprotune.search.study import declaration
from stages import summary


class Page(HTMLParser):
    """Its elements: (tag, attributes), and the text of each kind."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._tag = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._tag = tag

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._tag, []).append(data)


PARAMS = make_params(evaluate__seeds=2, training__epochs=2)


def evaluate(params: Params, dataset: StoredDataset) -> None:
    configs = evaluation.winners(params)
    models = evaluation.trained(configs, dataset, params, InlineExecutor(), anew=False)
    scores = evaluation.test_scores(models)
    evaluation.write(scores, evaluation.summarize(configs, scores, dataset))
    found = evaluation.predictions(models["best"][0], configs["best"], dataset, "cpu", InlineExecutor())
    evaluation.write_predictions(found, dataset.classes)
    assert read_json(evaluation.FOLDER / "model_metrics.json")["accuracy"] == scores["best"][0]


@pytest.fixture(scope="module")
def finished(dataset: StoredDataset, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with two studies, their evaluation and their report."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        shutil.copy(empty_store, folder / "mlflow.db")
        conduct(dataset)
    return folder


def conduct(dataset: StoredDataset) -> None:
    run_study(declaration.from_params(PARAMS, "single_objective", dataset), InlineExecutor(), anew=False)
    run_study(read.read_studies(PARAMS, dataset)[1], InlineExecutor(), anew=False)
    evaluate(PARAMS, dataset)
    report.draw(read.read_studies(PARAMS, dataset), dataset, InlineExecutor())
    report.write(PARAMS, dataset)
    first = report.REPORT.read_bytes()
    report.write(PARAMS, dataset)
    assert report.REPORT.read_bytes() == first


def draw_only(monkeypatch: pytest.MonkeyPatch, *figures: str) -> None:
    """None of the model, these of every study, and those of a cost: each takes up to half a second."""
    monkeypatch.setattr(study_figures, "FIGURES", {name: study_figures.FIGURES[name] for name in figures})
    monkeypatch.setattr(model_figures, "FIGURES", {})


@pytest.fixture
def source(finished: Path, repository: Path) -> str:
    """The report, in a copy of that folder."""
    shutil.copytree(finished, repository, dirs_exist_ok=True)
    return report.REPORT.read_text()


def test_the_report(source: str) -> None:
    page = Page(source)
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", source)  # it loads nothing
    assert page.elements.count(("html", {"lang": "en"})) == 1
    assert all(attributes.get("alt") for tag, attributes in page.elements if tag == "img")

    score = read_json(evaluation.FOLDER / "metrics.json")["best"]["test_accuracy"]
    assert f"{score['mean']:.4f} ± {score['std']:.4f}" in page.texts["strong"]
    best = read_yaml(Path("results/single_objective/best_config.yaml"))
    assert f"{best['accuracy_mean']:.4f}" in page.texts["td"]
    for name in ("single_objective", "multi_objective"):
        metrics = read_json(Path(f"results/{name}/metrics.json"))
        told = f"Its most accurate: {metrics['winner_accuracy']:.4f} on valid (standard error "
        assert told in " ".join(page.texts["p"])

    trials = [row for row in read_csv(Path("results/multi_objective/trials.csv")) if row["accuracy"]]
    shown = sorted(text.partition(":")[0] for text in page.texts["title"][1:])  # the first is the page's own
    assert shown == sorted(f"trial {row['number']}" for row in trials)
    front = read_csv(Path("results/multi_objective/pareto_front.csv"))
    assert {row["number"] for row in front} <= set(page.texts["th"])
    choices = read_yaml(Path("results/multi_objective/best_configs.yaml"))
    cheaper = list(titles(choices).items())[1:]
    assert cheaper
    for name, title in cheaper:
        lost, saved = (100 * choices[name][key] for key in ("accuracy_lost", "cost_saved"))
        assert f'<th scope="row">{title}</th><td>{lost:.2f}</td>' in source
        assert f"<td>{saved:.1f}%</td></tr>" in source


def test_the_metrics_that_runs_are_compared_by(source: str) -> None:
    """DVC shows each as a column, and a name that two files have with the path before it."""
    report.write_metrics()
    found = dict(flat(read_json(report.METRICS)))
    assert len(found) <= 10
    assert max(map(len, found)) < 20
    rows = read_csv(evaluation.FOLDER / "test_scores.csv")
    best = [float(row["test_accuracy"]) for row in rows if row["config"] == "best"]
    assert found["test.best"] == pytest.approx(fmean(best))
    assert found["test.best_std"] == pytest.approx(stdev(best))
    trials = [row for row in read_csv(Path("results/single_objective/trials.csv")) if row["state"] == "COMPLETE"]
    assert found["single.accuracy"] == pytest.approx(max(float(row["accuracy"]) for row in trials))
    curves = read_csv(Path("results/multi_objective/learning_curves.csv"))
    assert found["multi.epochs"] == len(curves)


def test_it_reads_only_what_dvc_yaml_declares(
    source: str, dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]["report"]
    drawn = {str(path): path.read_bytes() for path in Path("results").glob("*/figures/*")}
    assert {str(Path(path).parent) for path in drawn} == {out for out in stage["outs"] if out.endswith("figures")}
    for name in (dep for dep in stage["deps"] if dep.startswith("results/") and Path(dep).exists()):
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if Path(name).is_dir() else shutil.copy)(name, tmp_path / "copy" / name)
    monkeypatch.chdir(tmp_path / "copy")
    report.draw(read.read_studies(PARAMS, dataset), dataset, InlineExecutor())
    assert {str(path): path.read_bytes() for path in Path("results").glob("*/figures/*")} == drawn
    report.write(PARAMS, dataset)
    assert report.REPORT.read_text() == source
    monkeypatch.setattr(dataset, "own", Own(copies=21, two_labels=3, left_out=4, groups=12, range=(0, 4095)))
    report.write(PARAMS, dataset)
    told = "21 are copies of another, kept in its split, 3 are under several classes, 4 were left out"
    assert told in report.REPORT.read_text()
    more = "12 groups are in one split each. In pictures of more than 8 bits, 0 is black and 4095 is white."
    assert more in report.REPORT.read_text()
    assert "copies of another" not in source


@pytest.mark.parametrize("found", [[], [Advice("a < b.", "It matters.", "Raise x.")] * 3])
def test_advice_is_on_the_page_and_the_first_of_it_in_the_summary(
    source: str,
    dataset: StoredDataset,
    found: list[Advice],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(report, "advise", lambda *_: found)
    report.write(PARAMS, dataset)
    capsys.readouterr()
    summary.main()
    page, printed = report.REPORT.read_text(), capsys.readouterr().out
    assert page.count("<li>a &lt; b. It matters. <em>Raise x.</em></li>") == len(found)
    assert ("<h2>What to change</h2>" in page) == bool(found)
    assert printed.count("- a < b. It matters. Raise x.\n") == min(2, len(found))
    assert ("- 1 more: python -m stages.advise" in printed) == bool(found)


def test_it_reads_the_run_that_the_files_hold(source: str, dataset: StoredDataset) -> None:
    run = read_run(PARAMS, dataset)
    assert [len(study.trials) for study in run.studies] == [12, 12]
    assert {split: sum(classes.values()) for split, classes in run.balance.items()} == dataset.sizes
    assert [found for check in checks.CHECKS for found in check(run)] == checks.advise(PARAMS, dataset)
    with pytest.raises(UserError, match="holds a study of other params"):
        checks.advise(make_params(seed=1), dataset)


def test_a_reason_is_shown_as_it_is() -> None:
    row = {"params.lr": "0.123456", "params.width": "128", "params.flip": "True", "reason": "Error: in x.cpp:7. Stop"}
    assert page._short(row) == {"lr": "0.1235", "width": "128", "flip": "True", "reason": row["reason"]}


def test_one_seed_has_no_deviation_and_none_is_told(
    source: str, dataset: StoredDataset, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_only(monkeypatch)
    configs = evaluation.winners(PARAMS)
    scores = {name: [0.5] for name in configs}
    evaluation.write(scores, evaluation.summarize(configs, scores, dataset))
    assert read_json(evaluation.FOLDER / "metrics.json")["best"]["test_accuracy"] == {"mean": 0.5, "n": 1}
    report.draw(read.read_studies(PARAMS, dataset)[1:], dataset, InlineExecutor())
    report.write(PARAMS, dataset)
    report.write_metrics()
    assert set(read_json(report.METRICS)["test"].values()) == {0.5}
    capsys.readouterr()
    summary.main()
    page, printed = report.REPORT.read_text(), capsys.readouterr().out
    assert "<!-- The winners on test, 1 seed -->" in report.SCORES.read_text()
    assert "<strong>0.5000</strong>, the untuned default 0.5000 (1 training, on images" in page
    assert "each trained with the same seed.</figcaption>" in page
    assert "points of test accuracy (1 seed)" in " ".join(printed.split())
    assert not re.search(r"± ?[0-9]|\b1 (seeds|trainings)", page + printed)
    report.track(PARAMS, read.read_studies(PARAMS, dataset), dataset)


def test_page_figures_and_summary_name_the_metric(
    source: str, dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_only(monkeypatch, *(drawn := ("optimization_history", "importances")))
    balanced = make_params(evaluate__seeds=2, training__epochs=2, data__metric="balanced_accuracy")
    for spec in read.read_studies(balanced, dataset):
        made_by = read_json(spec.folder / "study.json")
        write_json(spec.folder / "study.json", {**made_by, "declared": spec.declared, "metric": spec.metric})
    report.draw(read.read_studies(balanced, dataset), dataset, InlineExecutor())
    report.write(balanced, dataset)
    capsys.readouterr()
    summary.main()
    page, printed = report.REPORT.read_text(), " ".join(capsys.readouterr().out.split())
    assert "points of test balanced accuracy" in printed
    assert {"validation balanced accuracy", "test balanced accuracy"} <= set(Page(page).texts["th"])
    assert "accuracy is the balanced accuracy: the mean over the classes" in page
    assert "accuracy is the" not in source
    figures = [
        *(Path(f"results/single_objective/figures/{name}.svg") for name in drawn),
        report.SCORES,
        report.FIGURES / "gain.svg",
    ]
    names = [re.findall("<!-- ([a-z ]*accuracy)", figure.read_text()) for figure in figures]
    assert {name for found in names for name in found} == {
        f"{split}balanced accuracy" for split in ("validation ", "test ", "")
    }


def test_the_leaderboard_has_every_trial(source: str) -> None:
    for name in ("single_objective", "multi_objective"):
        table = source.partition(f'id="trials-of-{name}"')[2].partition("</table>")[0]
        columns = re.findall("<th[^>]*>([^<]*)</th>", table)
        rows = [re.findall("<td>([^<]*)</td>", row) for row in table.split("<tr>")[2:]]
        trials = {row["number"]: row for row in read_csv(Path(f"results/{name}/trials.csv"))}
        shown = {row[0]: dict(zip(columns, row, strict=True)) for row in rows}
        assert set(shown) == set(trials)
        assert len(rows) == len(trials)
        searched = ["layers", "width_1", "width_2", "optimizer", "lr", "epochs"]  # of conftest.SPACE
        assert columns == ["trial", "state", "accuracy", "mean", "FLOPs", "epochs trained", *searched, "reason"]
        for number, trial in trials.items():
            assert shown[number]["state"] == trial["state"].lower()
            assert shown[number]["FLOPs"] == f"{int(trial['flops']):,}"
            assert shown[number]["optimizer"] == trial["params.optimizer"]
            assert shown[number]["accuracy"] == f"{float(trial['accuracy']):.4f}"
        states = [row[1] for row in rows]
        assert states == sorted(states, key=["complete", "pruned", "fail"].index)
    assert {tag for tag, _ in Page(source).elements} >= {"script", "section", "input"}


def test_the_page_shows_the_model(source: str, dataset: StoredDataset) -> None:
    found = classification.read(evaluation.FOLDER / "predictions.csv", dataset.classes)
    wrong = classification.mistakes(found)[: page.MISTAKES]
    assert wrong
    for mistake in wrong:
        label, predicted = (dataset.classes[at] for at in (mistake.label, mistake.predicted))
        assert f'alt="Labelled {label}, taken for {predicted}."' in source
    assert source.count('alt="Labelled ') == len(wrong)
    assert [prediction.label for prediction in found] == dataset.arrays("test").labels.tolist()
    figures = {path.name for path in report.FIGURES.iterdir()}
    drawn = {"class_accuracy.svg", "confusion_matrix.svg", "calibration.svg", "gain.svg", "mistakes.png"}
    assert figures == {"test_scores.svg", *drawn}
    assert "balanced accuracy" not in source  # 20 images a class
    few = next(prediction for prediction in found if not prediction.label)
    evaluation.write_predictions([few, *(prediction for prediction in found if prediction.label)], dataset.classes)
    report.write(PARAMS, dataset)
    assert "balanced accuracy" in report.REPORT.read_text()


@pytest.mark.usefixtures("source")
def test_the_best_config_beside_the_default(dataset: StoredDataset) -> None:
    """What was searched, and what the search space fixes at another value than the default's: no more."""
    path = Path("results/single_objective/best_config.yaml")
    path.write_text(path.read_text().replace("label_smoothing: 0.0", "label_smoothing: 0.1"))
    spec, _ = read.read_studies(PARAMS, dataset)
    shown = page.best_config(PARAMS, replace(spec, space={**spec.space, "label_smoothing": 0.1}))
    rows = {name: others for name, *others in shown["rows"]}
    assert rows.pop("label_smoothing") == ["0.1", "0", "fixed"]
    assert set(rows) <= {"layers", "width_1", "width_2", "optimizer", "lr", "epochs", "momentum"}  # of SGD alone
    assert {"lr", "epochs"} <= set(rows)


def test_the_best_config_can_be_copied(source: str) -> None:
    text = html.unescape(source.partition("<pre>")[2].partition("</pre>")[0])
    assert YAML(typ="safe").load(text) == read_yaml(Path("results/single_objective/best_config.yaml"))["params"]


def test_nothing_feasible_is_said_wherever_the_winners_are(
    source: str, dataset: StoredDataset, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # so that no cell of the summary is wrapped
    draw_only(monkeypatch)
    params = make_params(evaluate__seeds=1, training__epochs=2, multi_objective__min_accuracy=0.999)
    run_study(read.read_studies(params, dataset)[1], InlineExecutor(), anew=False)
    evaluate(params, dataset)
    report.draw(read.read_studies(params, dataset)[1:], dataset, InlineExecutor())  # the first is as it was
    report.write(params, dataset)
    capsys.readouterr()
    summary.main()
    printed, page = " ".join(capsys.readouterr().out.split()), report.REPORT.read_text()
    assert read_json(Path("results/multi_objective/metrics.json"))["feasible"] == 0
    assert "On test: trained again on train + valid" in printed
    assert "No trial of multi_objective reached min_accuracy, 0.999: the most accurate stand in." in printed
    assert "No trial of the second study reached <code>min_accuracy</code>, 0.999</strong>" in page
    same = "most accurate, within 1 point, within 2 points, within 5 points, knee, cheapest"
    assert f'<th scope="row">{same}</th>' in page
    assert same in printed
    assert "What a cheaper model loses" not in page
    assert any("reached min_accuracy, 0.999" in found.seen for found in checks.advise(params, dataset))
    assert "<!-- floor -->" in Path("results/multi_objective/figures/pareto_front.svg").read_text()
