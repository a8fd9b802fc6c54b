"""What a person sees in Prefect's UI: a run's page, its table and its report, and the study's form.

In Debian's Chromium, on the real server. Each test leaves a picture of its page in `test-output/`, or where
the environment variable SPANMATCH_TEST_OUTPUT says.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import needs
import pytest
import shared
import yaml
from conftest import REPOSITORY, TINY, Environment
from installation import DEPLOYMENTS
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright
from playwright.sync_api import TimeoutError as TookTooLongError
from services import Api, prefect

from flows.run.read_back import read_results
from flows.study.model import Study
from flows.study.values import Training
from spanmatch.reporting import similarity_table, summary_rows
from spanmatch.reporting.figure_registry import shown_figures
from storage.root import Root

OUTPUT = Path(os.environ.get("SPANMATCH_TEST_OUTPUT", REPOSITORY / "test-output"))

expect.set_options(timeout=60_000)


@pytest.fixture(scope="session", autouse=True)
def chromium() -> Path:
    """Of the session, so that nothing is started where there is no browser to look at it."""
    return needs.find("chromium")


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, env: Environment, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that reaches nothing but the server, and of which a picture is kept."""
    ui = env["PREFECT_API_URL"].removesuffix("/api")

    def only_the_server(route: Route) -> None:
        if route.request.url.startswith(ui):
            route.continue_()
        else:
            route.abort()

    context = browser.new_context(base_url=ui, viewport={"width": 1400, "height": 1200})
    context.set_default_timeout(60_000)
    context.route("**", only_the_server)
    page = context.new_page()
    yield page
    keep_picture(page, request.node.name)
    context.close()


def keep_picture(page: Page, name: str) -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=OUTPUT / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
def api(env: Environment) -> Api:
    return Api(env["PREFECT_API_URL"])


@pytest.fixture(scope="module")
def run(api: Api, tiny_root: Path) -> dict[str, Any]:
    """The run that made the tiny study's root."""
    runs = api.post("flow_runs/filter", flow_runs={"name": {"like_": "tiny"}}, sort="EXPECTED_START_TIME_ASC")
    return next(run for run in runs if run["parameters"].get("study", {}).get("root") == str(tiny_root))


@pytest.fixture(scope="module")
def artifacts(api: Api, run: dict[str, Any]) -> dict[str, str]:
    """The page of each of the run's artefacts, by key."""
    found = api.post("artifacts/filter", flow_runs={"id": {"any_": [run["id"]]}})
    return {artifact["key"]: f"/v2/artifacts/artifact/{artifact['id']}" for artifact in found}


def test_a_run_s_page_shows_its_tasks_and_leads_to_what_came_out(page: Page, run: dict[str, Any]) -> None:
    page.goto(f"/v2/runs/flow-run/{run['id']}")
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    expect(page.get_by_text(run["name"], exact=True).first).to_be_visible()
    page.get_by_role("tab", name="Task Runs").click()
    page.get_by_placeholder("Search").last.fill("match block3.relu2")
    (first, *_), (*_, last) = TINY["layers"], TINY["layers"]
    shown = (
        f"match {first} · seed 0 ~ seed 1 · initial · ε 0.3 … {last} · seed 0 ~ seed 1 · final · ε 0.5 (8)"
    )
    expect(page.get_by_text(shown)).to_be_visible()
    expect(page.get_by_text("report tiny", exact=True)).to_be_hidden()
    keep_picture(page, "tasks")
    page.get_by_role("tab", name="Artifacts").click()
    expect(page.get_by_text("tiny-similarity")).to_be_visible()
    page.get_by_text("tiny-report").click()
    expect(page).to_have_title(re.compile("Artifact: tiny-report"))


def test_the_table_shows_every_layer_s_similarity(
    page: Page, artifacts: dict[str, str], tiny_root: Path
) -> None:
    results = read_results(Root.at(str(tiny_root)), "tiny")
    expected = {
        (row["layer"], row["group"], str(row["centre"]), row["epsilon"]): row["mean_similarity"]
        for row in similarity_table(results)
    }
    page.goto(artifacts["tiny-similarity"])
    expect(page.get_by_role("row")).to_have_count(1 + len(expected))
    rows = [row.get_by_role("cell").all_inner_texts() for row in page.get_by_role("row").all()[1:]]
    columns = ["layer", "group", "epsilon", "mean_similarity", "min_similarity", "max_similarity", "centre"]
    assert page.get_by_role("columnheader").all_inner_texts()[: len(columns)] == columns
    shown = {(row[0], row[1], row[6], float(row[2])): float(row[3]) for row in rows}
    assert shown == pytest.approx(expected, abs=1e-4)


def test_the_report_shows_its_figures(page: Page, artifacts: dict[str, str], tiny_root: Path) -> None:
    page.goto(artifacts["tiny-report"])
    expect(page.get_by_role("heading", name="tiny", exact=True)).to_be_visible()
    images = page.locator("img[src^='data:image/png']")
    results = read_results(Root.at(str(tiny_root)), "tiny")
    expect(images).to_have_count(sum(bool(figure.brief_bytes) for figure in shown_figures(results)))
    for image in images.all():
        expect(image).to_be_visible()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    for summary in summary_rows(results):
        heading = page.get_by_role("heading", name=f"similarity, group {summary.title}", exact=False).first
        table = heading.locator("xpath=following::table[1]")
        for layer, *means in summary.cells:
            row = table.get_by_role("row").filter(has_text=layer)
            assert row.get_by_role("cell").all_inner_texts() == [layer, *means]


@pytest.fixture(scope="module")
def form(env: Environment, api: Api) -> str:
    """The page of the form of the repository's own deployment, in a pool that no worker serves."""

    def deploy(folder: Path) -> None:
        values = yaml.safe_load(DEPLOYMENTS.read_text(encoding="utf-8"))
        (ours,) = [found for found in values["deployments"] if found["name"] == "digits"]
        values["deployments"] = [ours | {"name": "form", "work_pool": {"name": "form"}}]
        (folder / "prefect.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        prefect("work-pool", "create", "form", "--type", "process", env=env)
        prefect("deploy", "--all", "--prefect-file", folder / "prefect.yaml", env=env)

    shared.once("form", deploy)
    return f"/v2/deployments/deployment/{api.get('deployments/name/study/form')['id']}/run"


def test_the_form_explains_every_parameter(page: Page, form: str) -> None:
    page.goto(form)
    for field in [*Study.model_fields.values(), *Training.model_fields.values()]:
        assert field.description
        expect(page.get_by_text(field.description, exact=True)).to_be_visible()


def test_an_epsilon_out_of_range_is_refused_in_the_form(page: Page, form: str, api: Api) -> None:
    """And one in range is not, so that it is not a form that never submits."""
    page.goto(form)
    page.get_by_label("Run Name").fill("out of range")
    first = page.get_by_text("Epsilons", exact=True).locator("xpath=following::input[1]")
    expect(first).to_have_value("0.15")
    first.fill("1.5")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("1.5 is greater than or equal to the maximum of 1").first).to_be_visible()
    keep_picture(page, "refused")
    page.get_by_label("Run Name").fill("in range")
    first.fill("0.125")
    submitted = re.compile(r"/deployments/deployment/[^/]+\?tab=Runs")
    named = {"name": {"any_": ["out of range", "in range"]}}
    for _ in range(3):
        page.get_by_role("button", name="Submit").click()
        with suppress(TookTooLongError):
            page.wait_for_url(submitted, timeout=10_000)
        if api.post("flow_runs/filter", flow_runs=named):
            break  # now and then a click only takes the refusal away
    expect(page).to_have_url(submitted)
    (created,) = api.post("flow_runs/filter", flow_runs=named)
    assert created["name"] == "in range"
    assert created["parameters"]["study"]["epsilons"] == [0.125, 0.2, 0.25, 0.3, 0.5]
