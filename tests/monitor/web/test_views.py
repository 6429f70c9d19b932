"""The views of a therapy, the log, the hand-over, rules, system and people, in a real Chromium.

What they show is held against what the API says; what is typed goes in by the keyboard alone.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Locator, Page, expect

from infusion.clinical import LAB_UNITS
from tests.monitor.web.browser import chromium, needs_chromium, until
from tests.monitor.web.course import ALIVE, MARKUP, Shift, minutes, shift

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]

PUMP = "/pump/home/P-01"
THERAPY = "/therapies/home/T-01"
VIEWS = (
    PUMP,
    f"{PUMP}?table=yes",
    "/history",
    "/handover",
    "/care",
    "/rules",
    "/system",
    "/people",
)
FOLDER = Path(__file__).resolve().parents[3] / "build" / "screenshots"
BYTES_MIN = 15_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def duty(browser: Browser) -> AsyncIterator[Shift]:
    """A ward of its own for each test."""
    async with shift(browser) as found:
        yield found


def form(page: Page) -> Locator:
    """The form that is open."""
    return page.locator(".forms form:visible")


async def open_form(page: Page, name: str) -> None:
    """By the keyboard: to the button, Enter; the first field has the focus."""
    await page.get_by_role("button", name=name).focus()
    await page.keyboard.press("Enter")
    await expect(form(page).locator("select").first).to_be_focused()


async def type_in(page: Page, *texts: str | None) -> None:
    """Type into the field that has the focus and those after it; None leaves one as it is."""
    for text in texts:
        if text is not None:
            await page.keyboard.type(text)
        await page.keyboard.press("Tab")


async def type_time(page: Page, time: str) -> None:
    """Type the day of all of this, and a time such as 0605PM, as this Chromium writes them."""
    await page.keyboard.type("09212026")
    await page.keyboard.press("Tab")
    await page.keyboard.type(time)


def plain(text: str | None) -> str:
    return (text or "").replace("\xa0", " ")


# --- one pump ------------------------------------------------------------------------------------


async def test_key_facts_say_what_the_api_says(duty: Shift) -> None:
    """Dose, rate, order, bag, level: each number of the row is there, with its unit."""
    page = await duty.page(PUMP)
    view = await duty.api(page, "/pumps/home/P-01")
    row, forecast = view["row"], view["forecast"]
    facts = page.locator("aside .facts")
    for wanted in (
        f"{row['dose']['delivered_iu']:.0f} IU of {row['dose']['expected_iu']:.0f} IU ordered",
        f"{row['rate_ml_h']} mL/h = {row['rate_iu_h']:.0f} IU/h = 18 IU/kg/h",
        f"Bag{row['concentration_iu_ml']:.0f} IU/mL",
        f"Weight{row['weight_kg']:.0f} kg",
        "Orderversion 1, on the pump too",
        f"{row['reservoir_ml']:.0f} mL",
        "mains, battery 90 %",
        f"{row['level']['median']:.2f} IU/mL ({row['level']['low']:.2f}–{row['level']['high']:.2f})",
        "last blood test 17:18",
        f"{forecast['level']:.2f} IU/mL ({forecast['low']:.2f}–{forecast['high']:.2f})",
        "Pump saysdownstream occlusion",
    ):
        await expect(facts).to_contain_text(re.compile(re.escape(wanted).replace(r"\ ", r"\s")))
    await expect(page.locator(".head")).to_contain_text("P-01 · T-01*** HIGHStopped: occlusion")


async def test_an_unknown_dose_is_a_range_and_a_silent_pump_says_so(duty: Shift) -> None:
    """Nobody knows what a pump gives that nobody hears: no single number pretends to."""
    duty.ward.papers["P-01"].start(alarms=())
    minutes(duty.ward, 2)
    duty.ward.papers["P-01"].mute()
    minutes(duty.ward, 40)
    page = await duty.page(PUMP)
    dose = (await duty.api(page, "/pumps/home/P-01"))["row"]["dose"]
    assert dose["low_iu"] < dose["high_iu"]
    wanted = f"between {dose['low_iu']:.0f}\xa0IU and {dose['high_iu']:.0f}\xa0IU of"
    await expect(page.locator(".facts .warn").first).to_contain_text(wanted)
    await expect(page.locator(".words.bad")).to_contain_text("Silent: last heard 40 min ago")
    await expect(page.locator(".trend text.gap").last).to_have_text("not heard")


async def test_an_alert_is_taken_here_too(duty: Shift) -> None:
    """The button posts the alert that is shown, and the card then says who has it."""
    page = await duty.page(PUMP)
    card = page.locator(".alert", has_text="Downstream occlusion")
    await card.get_by_role("button", name="Take").focus()
    await page.keyboard.press("Enter")
    await expect(card).to_contain_text("You until")
    await expect(card.get_by_role("button", name="Take", exact=True)).to_have_count(0)
    (alert,) = (await duty.api(page, "/pumps/home/P-01"))["alerts"]
    assert alert["facts"]["taken"]["by"] == "Anna"
    assert await page.evaluate("document.activeElement.tagName") == "BUTTON"


# --- forms ---------------------------------------------------------------------------------------


async def test_a_result_is_entered_by_the_keyboard(duty: Shift) -> None:
    """The unit belongs to the test; the result is in the list and in the trend at once."""
    page = await duty.page(PUMP)
    await open_form(page, "Enter a result")
    await expect(form(page).locator(".unit").nth(2)).to_have_text("IU/mL")
    await type_in(page, "pla", None, "148", None, "S-7")
    await expect(form(page).locator(".unit").nth(2)).to_have_text("·10⁹/L")
    await type_time(page, "0605PM")
    await form(page).get_by_role("button").focus()
    await page.keyboard.press("Enter")
    await expect(form(page).locator(".above")).to_have_text("platelets of specimen S-7 is entered.")
    newest = (await duty.api(page, THERAPY))["results"][-1]
    assert (newest["test"], newest["value"], newest["unit"]) == ("platelets", 148, LAB_UNITS["platelets"])  # fmt: skip
    assert newest["drawn_ms"] % 86_400_000 == (18 * 60 + 5) * 60_000
    labs = page.get_by_role("region", name="Laboratory", exact=True)
    await expect(labs.get_by_role("row").nth(1)).to_contain_text("platelets 148")
    await expect(page.locator(".trend text.result", has_text="platelets 148")).to_have_count(1)


async def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(duty: Shift) -> None:
    """A comma is never guessed at; what the server refuses is said where it belongs."""
    page = await duty.page(PUMP)
    await open_form(page, "Enter a result")
    await type_in(page, None, None, "1,4", "haemolysed", "S 7")
    value, specimen = form(page).locator("[name=value]"), form(page).locator("[name=specimen]")
    await page.keyboard.press("Enter")
    await expect(value).to_be_focused()
    await expect(value).to_have_attribute("aria-invalid", "true")
    await expect(value).to_have_accessible_description(re.compile("without commas"))
    await value.fill("1.4")
    await page.keyboard.press("Enter")
    drawn = form(page).locator("[name=drawn_ms]")
    await expect(drawn).to_be_focused()
    await type_time(page, "0605PM")
    await form(page).get_by_role("button").press("Enter")
    await expect(specimen).to_be_focused()
    await expect(specimen).to_have_accessible_description(re.compile("specimen"))
    await specimen.fill("S-7")
    await drawn.fill("2026-09-21T23:00")
    await specimen.press("Enter")
    await expect(form(page).locator(".above")).to_contain_text("future")
    assert await value.input_value() == "1.4"
    assert await form(page).locator("[name=problem]").input_value() == "haemolysed"
    assert len((await duty.api(page, THERAPY))["results"]) == 2


async def test_nothing_is_sent_or_lost_while_the_page_is_not_live(duty: Shift) -> None:
    """It says so at once; when the monitor is back, what was typed goes out."""
    page = await duty.page(PUMP)
    await open_form(page, "Report something")
    await type_in(page, "Visit", "all well")
    await duty.served.stop()
    await until(page, "() => document.documentElement.dataset.live === 'stale'")
    send = form(page).get_by_role("button")
    await send.press("Enter")
    await expect(form(page).locator(".above")).to_contain_text("not live, so nothing was sent")
    await duty.served.start()
    await until(page, ALIVE)
    await send.press("Enter")
    await expect(form(page).locator(".above")).to_have_text("Reported: visit done.")
    (report,) = (await duty.api(page, THERAPY))["reports"]
    assert report["detail"] == "all well"


@pytest.mark.parametrize(
    ("keys", "fields", "what", "detail"),
    [
        ("Nose", (None, "at breakfast"), "nosebleed", "minor: at breakfast"),
        ("Site: re", ("since noon",), "redness at the site", "since noon"),
        ("Supplies d", (None,), "supplies delivered", ""),
        ("Some", ("odd taste",), "odd taste", ""),
    ],
)
async def test_a_report_by_the_keyboard(
    duty: Shift, keys: str, fields: tuple[str | None, ...], what: str, detail: str
) -> None:
    """The words are those that the rules read; how bad a bleeding is, is said in front."""
    page = await duty.page(PUMP)
    await open_form(page, "Report something")
    await type_in(page, keys, *fields)
    await form(page).get_by_role("button").press("Enter")
    await expect(form(page).locator(".above")).to_have_text(f"Reported: {what}.")
    report = (await duty.api(page, THERAPY))["reports"][-1]
    assert (report["what"], report["detail"], report["by"]) == (what, detail, "Anna")
    reports = page.get_by_role("region", name="Reports", exact=True)
    await expect(reports.get_by_role("row").nth(1)).to_contain_text(what)


async def propose(page: Page, *texts: str | None) -> None:
    """Open the form of an order, type, and propose it."""
    await open_form(page, "Change the order")
    await type_in(page, *texts)
    await form(page).get_by_role("button").press("Enter")


async def test_an_order_needs_a_second_person(duty: Shift) -> None:
    """Old and new before it is sent; who proposed it cannot confirm it; another can, and it holds."""
    page = await duty.page(PUMP)
    await open_form(page, "Change the order")
    await type_in(page, None, "20", None, None)
    preview = form(page).locator(".preview")
    await expect(preview).to_contain_text("Dose × 1.11, pump rate × 1.11.")
    for row in ("IU/kg/h 18 IU/kg/h 20 IU/kg/h", "IU/h 1440 IU/h 1600 IU/h", "mL/h 14.4 mL/h 16 mL/h"):  # fmt: skip
        assert row in " ".join(plain(each) for each in await preview.locator("tr").all_inner_texts()).replace("\t", " ")  # fmt: skip
    await form(page).get_by_role("button").press("Enter")
    await expect(form(page).locator(".above")).to_contain_text("second person")
    card = page.locator(".proposal.proposed")
    await expect(card).to_contain_text("You proposed this")
    await expect(card).to_contain_text("20 IU/kg/h (1600 IU/h, 16 mL/h) instead of 18 IU/kg/h")
    await expect(card.get_by_role("button", name="Confirm")).to_have_count(0)
    assert (await duty.api(page, THERAPY))["prescription"]["version"] == 1
    other = await duty.page(PUMP, "Jonas")
    await other.get_by_role("button", name="Confirm this order").press("Enter")
    await expect(other.locator(".proposal.confirmed")).to_contain_text("confirmed by Jonas")
    order = (await duty.api(other, THERAPY))["prescription"]
    assert order["version"] == 2
    assert order["steps"][-1]["rate_iu_kg_h"] == 20
    # It begins in five minutes, so that nothing is due before anybody could give it.
    assert 290_000 < order["steps"][-1]["at_ms"] - duty.ward.now_ms() <= 300_000
    await expect(other.locator(".facts .warn", has_text="Order")).to_contain_text("version 2 is in force")  # fmt: skip


async def test_a_factor_of_ten_is_asked_about_and_another_rejects_it(duty: Shift) -> None:
    """A slipped decimal point is asked about by the page, and warned of to the second person."""
    page = await duty.page(PUMP)
    await propose(page, None, "180", None, None)
    question = page.get_by_role("dialog")
    await expect(question).to_contain_text("Dose × 10")
    await question.get_by_role("button", name="No").click()
    assert (await duty.api(page, "/proposals"))["items"] == []
    assert await form(page).locator("[name=amount]").input_value() == "180"
    await form(page).get_by_role("button").press("Enter")
    await question.get_by_role("button", name="Yes").press("Enter")
    other = await duty.page("/handover", "Mira")
    card = other.locator(".proposal")
    await expect(card.locator(".warnings")).to_contain_text("10 times the one in force")
    await card.get_by_label("Why").fill("decimal point")
    await card.get_by_role("button", name="Reject").press("Enter")
    await expect(other.locator(".proposal")).to_have_count(0)
    (found,) = (await duty.api(page, "/proposals"))["items"]
    assert (found["state"], found["steps"][-1]["text"]) == ("rejected", "decimal point")


@pytest.mark.parametrize(
    ("kind", "fields", "changes"),
    [
        ("Hold", {"until_ms": "2026-09-21T21:00"}, ["A hold from", "to 2026-09-21 21:00 UTC"]),
        ("Bolus", {"dose_iu": "4000", "minutes": "20"}, ["A bolus of", "4000 IU"]),
        ("Stop", {}, ["0 IU/h"]),
        ("Weight", {"weight_kg": "100"}, ["The weight is 100 kg instead of 80 kg", "18 IU/kg/h (1800 IU/h"]),
        ("Concentration", {"concentration_iu_ml": "50"}, ["The bag has 50 IU/mL", "28.8 mL/h"]),
    ],
)  # fmt: skip
async def test_other_changes_of_an_order(
    duty: Shift, kind: str, fields: dict[str, str], changes: list[str]
) -> None:
    """Each says in sentences what it changes, and leaves the past as it was."""
    page = await duty.page(PUMP)
    await open_form(page, "Change the order")
    await page.keyboard.type(kind)
    for name, text in fields.items():
        await form(page).locator(f"[name={name}]").fill(text)
    await form(page).get_by_role("button").press("Enter")
    if kind == "Concentration":
        await page.get_by_role("dialog").get_by_role("button", name="Yes").click()
    await expect(page.locator(".proposal.proposed")).to_have_count(1)
    # Its times are told as all times of the page.
    await expect(page.locator(".proposal.proposed li").first).not_to_contain_text("UTC")
    (found,) = (await duty.api(page, "/proposals"))["items"]
    said = " ".join((*found["changes"], *found.get("warnings", ())))
    for text in changes:
        assert text in said, said
    assert "past" not in said


async def test_a_viewer_sees_all_and_is_offered_nothing(duty: Shift) -> None:
    """No form, no button that does something, no decision."""
    anna = await duty.page(PUMP)
    await propose(anna, None, "20", None, None)
    page = await duty.page(PUMP, "Vera")
    await expect(page.locator(".proposal.proposed")).to_be_visible()
    names = await page.locator("main button").all_inner_texts()
    assert names == ["1 h", "6 h", "24 h", "As a table"]


# --- the other views -----------------------------------------------------------------------------


async def test_history_filters_in_the_address_and_goes_on(duty: Shift) -> None:
    """What people did has its facts before and after; older rows come on request, none twice."""
    duty.ward.do("P-01", "take", by="Mira", text="on my way")
    duty.ward.do("P-01", "note", by="Mira", text="a kink")
    page = await duty.page("/history?kind=audit&pump=home/P-01")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("“a kink”")
    await rows.first.locator("summary").press("Enter")
    before, after = (rows.first.locator(".both > div").nth(each) for each in (0, 1))
    await expect(before).to_contain_text("takenMira (nurse)")
    await expect(before).not_to_contain_text("kink")
    await expect(after).to_contain_text("noteMira (nurse)")
    await page.get_by_label("What", exact=True).select_option("")
    await expect(page).to_have_url(re.compile(r"/history\?pump=home%2FP-01$"))
    everything = (await duty.api(page, "/history?pump=home/P-01&limit=500"))["items"]
    await expect(rows).to_have_count(len(everything))
    for number in range(120):
        duty.ward.do("P-01", "note", by="Mira", text=f"note {number}")
    await page.get_by_role("button", name="Look again").click()
    await expect(rows).to_have_count(100)
    await page.get_by_role("button", name="More").press("Enter")
    await expect(rows).to_have_count(200)
    numbers = await page.locator("time[title]").evaluate_all("all => all.map(each => each.title)")
    assert len(set(numbers)) == 200
    await page.get_by_label("Pump").fill("home/no pump")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert").last).to_contain_text("pump")


async def test_the_hand_over_tells_the_next_shift(duty: Shift) -> None:
    """Open alerts with notes, what was done, silent pumps, orders; on paper with two names."""
    duty.ward.do("P-01", "take", by="Mira")
    duty.ward.do("P-01", "note", by="Mira", text="called the physician")
    duty.ward.papers["P-02"].mute()
    minutes(duty.ward, 20)
    page = await duty.page("/handover?hours=12")
    report = await duty.api(page, "/handover")
    await expect(page.get_by_role("heading", name=f"Open alerts: {len(report['alerts'])}")).to_be_visible()  # fmt: skip
    alert = page.get_by_role("row", name="Downstream occlusion")
    await expect(alert).to_contain_text("“called the physician” Mira")
    await expect(page.get_by_role("group", name="Pumps that are not heard")).to_contain_text("P-02")  # fmt: skip
    done = page.get_by_role("table", name="What people did, newest first")
    await expect(done.get_by_role("row")).to_have_count(len(report["acts"]) + 1)
    orders = page.get_by_role("table", name="Orders that came into force")
    await expect(orders).to_contain_text("T-01P-011440\xa0IU/h")
    assert await page.get_by_label("Handed over by").input_value() == "Anna"
    await page.get_by_label("Taken over by").fill("Jonas")
    await page.emulate_media(media="print")
    assert await page.locator("main button:visible, header:visible").count() == 0
    await expect(page.get_by_label("Taken over by")).to_be_visible()
    printed = await page.pdf(path=FOLDER / "handover.pdf", format="A4")
    assert printed.count(b"/Type /Page\n") in (1, 2)


async def test_rules_and_policy_are_those_of_the_api(duty: Shift) -> None:
    """Every rule with its levels and source; a search narrows them and is in the address."""
    page = await duty.page("/rules")
    rules = (await duty.api(page, "/rules"))["items"]
    policy = (await duty.api(page, "/policy"))["sentences"]
    await expect(page.locator(".sentences li")).to_have_text(policy)
    rows = page.locator("tbody tr:visible")
    await expect(rows).to_have_count(len(rules))
    assert await page.locator("tbody code.small").all_inner_texts() == [each["key"] for each in rules]  # fmt: skip
    first = rules[0]
    assert await rows.first.locator(".badge").count() == len(first["levels"])
    await expect(rows.first).to_contain_text(first["source"])
    assert "{" not in await page.locator("main").inner_text()
    await page.get_by_label("Search the rules").fill("free-flow")
    await expect(page.get_by_role("status")).to_have_text(re.compile(rf"^\d\d? of {len(rules)} rules$"))  # fmt: skip
    await expect(page).to_have_url(re.compile(r"\?q=free-flow$"))


async def test_care_shows_the_work_and_what_to_do_at_home(duty: Shift) -> None:
    """From the worklist to the steps for an occlusion in two clicks; the work is that of the API."""
    page = await duty.page("/care")
    work = await duty.api(page, "/work")
    rows = page.get_by_role("table", name="Work, the missed first").locator("tbody tr")
    await expect(rows).to_have_count(len(work["items"]))
    assert work["items"]
    await expect(rows.first).to_contain_text(work["items"][0]["task"]["name"])
    guide = page.get_by_role("table", name="What to do at home").locator("tbody tr:visible")
    await expect(guide).to_have_count(len((await duty.api(page, "/guide"))["items"]))
    await page.get_by_label("Search the guide").fill("bubble")
    await expect(guide).to_have_count(1)
    page = await duty.page(PUMP)
    await page.get_by_role("link", name="What to do at home").first.click()
    await expect(page).to_have_url(re.compile(r"/care\?q="))
    await expect(guide).to_have_count(1)


async def test_system_says_what_is_not_well(duty: Shift) -> None:
    """A broker that is lost, pumps that are silent, messages that were refused."""
    page = await duty.page("/system")
    told = await duty.api(page, "/system")
    main = page.locator("main")
    await expect(main).to_contain_text(f"Messages{told['totals']['messages']:,}")
    await expect(main.locator(".warn")).to_have_count(0)
    duty.ward.papers["P-02"].mute()
    minutes(duty.ward, 20)
    duty.ward.connected = False
    duty.ward.monitor.refused["oversize"] = 3
    duty.ward.totals.refused = 3
    await expect(main.locator(".warn", has_text="NOT CONNECTED")).to_be_visible()
    await expect(main.locator(".warn", has_text="1 of 2")).to_be_visible()
    await expect(main.get_by_role("row", name="oversize 3")).to_be_visible()
    await expect(main.get_by_role("link", name="P-02")).to_be_visible()


async def test_an_administrator_looks_after_people(duty: Shift) -> None:
    """Add, be refused with a reason, disable; nobody disables themselves."""
    page = await duty.page("/people", "Olga")
    users = page.get_by_role("table", name="Users")
    await expect(users.get_by_role("row")).to_have_count(6)
    add = page.get_by_role("region", name="Add somebody").locator("form")
    await add.locator("[name=name]").fill("Nils")
    await add.locator("[name=password]").fill("short")
    await add.locator("[name=password]").press("Enter")
    await expect(add.locator(".bad", has_text="characters")).to_be_visible()
    assert await add.locator("[name=name]").input_value() == "Nils"
    await add.locator("[name=password]").fill("a long and quiet night shift")
    await add.locator("[name=password]").press("Enter")
    await expect(add.locator(".above")).to_have_text("Nils may sign in now.")
    await page.get_by_role("button", name="New password for Nils").press("Enter")
    await page.get_by_role("dialog").get_by_role("button", name="Yes").press("Enter")
    link = await page.locator(".secret code").inner_text()
    assert link.startswith(f"{duty.served.url}/sign-in/reset/")
    await page.get_by_role("button", name="Disable Nils").press("Enter")
    await page.get_by_role("dialog").get_by_role("button", name="Yes").press("Enter")
    await expect(users.get_by_role("row", name="Nils")).to_contain_text("disabled")
    await expect(page.get_by_role("button", name="Disable Olga")).to_have_count(0)
    nils = {each["name"]: each for each in (await duty.api(page, "/people"))["items"]}["Nils"]
    assert nils["roles"] == ["nurse"]
    assert "disabled_ms" in nils


async def test_everybody_has_their_own_tokens(duty: Shift) -> None:
    """Its text is shown once; revoked, it opens nothing."""
    page = await duty.page("/people", "Mira")
    await expect(page.get_by_role("table", name="Users")).to_have_count(0)
    make = page.get_by_role("region", name="Your tokens", exact=True).locator("form")
    await make.locator("[name=note]").fill("dashboard")
    await make.locator("[name=note]").press("Enter")
    secret = await page.locator(".secret code").inner_text()
    request = (await duty.browser.new_context()).request
    bearer = {"Authorization": f"Bearer {secret}"}
    url = f"{duty.served.url}/api/v1/pumps"
    assert (await request.get(url, headers=bearer)).status == 200
    await page.get_by_role("button", name="Revoke dashboard").press("Enter")
    await page.get_by_role("dialog").get_by_role("button", name="Yes").press("Enter")
    await expect(page.get_by_text("You have none.")).to_be_visible()
    assert (await request.get(url, headers=bearer)).status == 401


# --- all views -----------------------------------------------------------------------------------


async def visit(page: Page, duty: Shift, path: str) -> None:
    """Go to a view, and wait until it has what it shows."""
    await page.goto(duty.served.url + path)
    await until(page, ALIVE)
    await page.locator("main :is(.trend, table, .facts, .entries)").first.wait_for()


async def test_text_of_people_and_pumps_is_never_markup(duty: Shift) -> None:
    """Notes, reports, problems, reasons and an alert's words, in every view that shows them."""
    duty.ward.papers["P-01"].set(alarms=("downstream-occlusion", MARKUP[:60]))
    minutes(duty.ward, 1)
    duty.ward.do("P-01", "take", by=MARKUP[:60], text=MARKUP)
    duty.ward.do("P-01", "note", by=MARKUP[:60], text=MARKUP)
    watched = await duty.person()
    page = await watched.open(PUMP)
    await open_form(page, "Report something")
    await type_in(page, "Some", MARKUP[:60], MARKUP)
    await form(page).get_by_role("button").press("Enter")
    await expect(form(page).locator(".above")).to_contain_text("Reported")
    await open_form(page, "Change the order")
    await form(page).locator("[name=text]").fill(MARKUP)
    await form(page).locator("[name=amount]").fill("20")
    await form(page).locator("[name=amount]").press("Enter")
    await expect(page.locator(".proposal")).to_contain_text(MARKUP)
    for path in (PUMP, "/history", "/handover", "/"):
        await page.goto(duty.served.url + path)
        await expect(page.locator("main")).to_contain_text("<img src=x")
        assert await page.locator("main :is(img, script)").count() == 0
        assert await page.evaluate("window.bad") is None
    assert watched.errors.said == []
    assert watched.errors.hosts == {duty.served.url.removeprefix("http://")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(duty: Shift, scheme: Literal["light", "dark"]) -> None:
    """WCAG 2.2 AA in every view, with forms and a proposal open, by day and by night."""
    duty.ward.do("P-01", "take", by="Mira")
    page = await duty.page(PUMP, "Jonas", color_scheme=scheme)
    await propose(page, None, "17", None, None)
    await expect(page.locator(".proposal")).to_have_count(1)
    for name, path in (("Anna", PUMP), ("Olga", "/people")):
        page = await duty.page(path, name, color_scheme=scheme)
        for each in VIEWS if name == "Anna" else [path]:
            await visit(page, duty, each)
            if each == PUMP:
                await page.locator(".trend").wait_for()
                for form_name in ("Enter a result", "Report something", "Change the order"):
                    await open_form(page, form_name)
                    await axe(page)
                await form(page).get_by_role("button").press("Enter")
            await axe(page)


async def axe(page: Page) -> None:
    """Fails with what axe found."""
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    results = await Axe().run(page, options=options)
    assert results.violations_count == 0, f"{page.url}\n{results.generate_report()}"


async def test_a_phone_needs_no_sideways_scrolling(duty: Shift) -> None:
    """390 pixels; only a wide table scrolls, within its frame."""
    page = await duty.page(PUMP, viewport={"width": 390, "height": 844}, has_touch=True)
    for path in VIEWS:
        await visit(page, duty, path)
        assert await page.evaluate("document.documentElement.scrollWidth") == 390, path


async def test_pictures(duty: Shift) -> None:
    """Every view by day, by night and on a phone, into build/screenshots/, to be looked at."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    duty.ward.do("P-01", "take", by="Mira", text="on my way")
    duty.ward.do("P-01", "note", by="Mira", text="kink at the connector")
    anna = await duty.page(PUMP)
    await propose(anna, None, "20", None, None)
    desk, phone = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
    looks: tuple[tuple[str, dict[str, Any]], ...] = (
        ("day", {"viewport": desk, "color_scheme": "light"}),
        ("night", {"viewport": desk, "color_scheme": "dark"}),
        ("phone", {"viewport": phone, "color_scheme": "light", "device_scale_factor": 2}),
    )
    for look, options in looks:
        page = await duty.page(PUMP, "Jonas", **options)
        for path in VIEWS:
            await visit(page, duty, path)
            name = "pump-table" if "table" in path else path.strip("/").split("/")[0]
            await take(page, f"{name}-{look}")
            if path == PUMP:
                # What lies below the fold of a phone.
                await page.locator(".trend").evaluate("node => node.scrollIntoView()")
                await take(page, f"trend-{look}")
                await open_form(page, "Change the order")
                await form(page).locator("[name=amount]").fill("180")
                await page.get_by_role("heading", name="Change the order").scroll_into_view_if_needed()  # fmt: skip
                await take(page, f"order-{look}")
    paper = await duty.page("/handover", "Jonas", viewport={"width": 794, "height": 1123})
    await paper.get_by_role("heading", name="Open alerts").wait_for()
    await paper.emulate_media(media="print")
    await take(paper, "handover-print")
    steps = await duty.page("/history?kind=order", "Jonas", viewport=desk)
    await steps.get_by_role("cell", name="order proposed").first.wait_for()
    await take(steps, "history-orders-day")
    olga = await duty.page("/people", "Olga", viewport=desk)
    await olga.get_by_role("table", name="Users").wait_for()
    await take(olga, "people-admin-day")


async def take(page: Page, name: str) -> None:
    """One picture, in the phase of the flash in which the badges have their colour."""
    await until(page, "() => !document.documentElement.dataset.flash")
    assert len(await page.screenshot(path=FOLDER / f"{name}.png")) > BYTES_MIN
