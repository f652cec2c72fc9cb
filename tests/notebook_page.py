"""A notebook in a real JupyterLab in a real browser, driven with keys as a learner drives it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from course_server import Server

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDTH, HEIGHT, TALLEST = 1280, 1600, 4000
AREA = ".jp-Cell-outputArea"
CONTROLS = {
    "slider": ".noUi-handle, input[type=range]",
    "dropdown": "select",
    "text": "input[type=text], textarea",
    "radio": "input[type=radio]",
    "checkbox": "input[type=checkbox]",
}
PICTURES = """async area => {
  const hash = async img => {
    const bytes = await (await fetch(img.src)).arrayBuffer();
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    return Array.from(new Uint8Array(digest).slice(0, 8)).join("-");
  };
  return await Promise.all(Array.from(area.querySelectorAll("img[src]")).map(hash));
}"""
# Milliseconds from each key press to the frame after the new picture has been decoded.
STOPWATCH = """area => {
  if (area.stopwatch) { area.stopwatch.length = 0; return; }
  const times = [];
  let pressed = null;
  area.addEventListener("keydown", () => { pressed = performance.now(); }, true);
  const seen = async () => {
    if (pressed === null) return;
    const begin = pressed;
    pressed = null;
    const pictures = Array.from(area.querySelectorAll("img"));
    await Promise.all(pictures.map(picture => picture.decode().catch(() => 0)));
    requestAnimationFrame(() => times.push(performance.now() - begin));
  };
  new MutationObserver(changes => {
    const picture = change => change.target.nodeName === "IMG"
      || Array.from(change.addedNodes).some(node => node.querySelector
        && (node.nodeName === "IMG" || node.querySelector("img")));
    if (changes.some(picture)) seen();
  }).observe(area, {subtree: true, childList: true, attributes: true, attributeFilter: ["src"]});
  area.stopwatch = times;
}"""
# The kernel of this notebook has started, and the page knows it.
READY = """async path => {
  const sessions = await (await fetch("/api/sessions")).json();
  const mine = sessions.find(session => session.path === path);
  const name = document.querySelector(".jp-NotebookPanel .jp-Toolbar-kernelName");
  const light = document.querySelector(".jp-NotebookPanel .jp-Notebook-ExecutionIndicator");
  return Boolean(mine && mine.kernel.execution_state === "idle" && mine.kernel.connections > 0
    && name && name.textContent.includes("Python") && light && light.dataset.status === "idle");
}"""
STATE = """() => Array.from(
    document.querySelectorAll(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell .jp-InputPrompt")
  ).map(prompt => prompt.textContent.trim())"""


@dataclass(frozen=True)
class Control:
    """Something on the page that a learner can move."""

    kind: str
    name: str
    handle: Any
    area: Any


class NotebookPage:
    """One open notebook; ``path`` is relative to the root of the server."""

    def __init__(self, page: Any, server: Server, path: str) -> None:
        self.page, self.stem = page, Path(path).stem
        cells = nbformat.read(server.root / path, as_version=4).cells
        self.sources = [cell.source for cell in cells if cell.cell_type == "code"]
        page.goto(f"{server.address}/lab/tree/{path}?reset&token={server.token}")
        page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=60_000)
        self._until(lambda: page.evaluate(READY, path), 60)
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    # --- running ---

    def code_cells(self) -> Any:
        return self.panel.locator(".jp-CodeCell")

    def cells_calling(self, text: str) -> list[int]:
        """Indices of the code cells whose source contains ``text``."""
        return [i for i, source in enumerate(self.sources) if text in source]

    def run_cell(self, index: int) -> None:
        """Run one code cell with Shift+Enter and wait until it has ended."""
        before = self.page.evaluate(STATE)[index]
        self.code_cells().nth(index).locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Shift+Enter")
        self._until(lambda: self.page.evaluate(STATE)[index] not in (before, "[*]:"), 120)

    def run_all(self, limit: float) -> None:
        """Choose Run All Cells in the menu and wait until every cell has ended."""
        before = self.page.evaluate(STATE)
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

        def done() -> bool:
            now = self.page.evaluate(STATE)
            return "[*]:" not in now and all(a != b for a, b in zip(now, before, strict=True))

        self._until(lambda: done() or bool(self.errors()), limit)

    def _until(self, done: Any, limit: float) -> None:
        end = time.monotonic() + limit
        while not done():
            assert time.monotonic() < end, f"{self.stem}: not done after {limit:.0f} s"
            self.page.wait_for_timeout(100)

    def errors(self) -> list[str]:
        """Every error and warning on the page, dialogs and notifications included."""
        shown = self.panel.locator('[data-mime-type="application/vnd.jupyter.stderr"]')
        popped = self.page.locator(".jp-Dialog-content, .Toastify__toast")
        return [text[:500] for text in [*shown.all_inner_texts(), *popped.all_inner_texts()]]

    # --- looking ---

    def output(self, index: int) -> Any:
        return self.code_cells().nth(index).locator(AREA)

    def answer(self, index: int, text: str) -> int:
        """Type ``text`` into every box of a cell; return how many there are."""
        boxes = self.output(index).locator("input[type=text]")
        for number in range(boxes.count()):
            boxes.nth(number).fill(text)
            boxes.nth(number).press("Enter")
        return int(boxes.count())

    def wait_for_text(self, index: int, pattern: str, limit: float = 15) -> str:
        """Wait until a cell's output matches ``pattern``; return what matched."""
        self._until(lambda: re.search(pattern, self.output(index).inner_text()), limit)
        found = re.search(pattern, self.output(index).inner_text())
        return found[0] if found else ""

    def mute_pictures(self) -> list[str]:
        """Pictures of outputs whose alternative text is no sentence."""
        alts = self.panel.locator(f"{AREA} img").evaluate_all("all => all.map(img => img.alt)")
        return [alt for alt in alts if len(alt) < 30 or not alt.rstrip().endswith(".")]

    def screenshots(self, folder: Path) -> list[Path]:
        """Save the whole notebook as pictures of at most 4,000 pixels in height."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"{self.stem}-*.png"):
            old.unlink()
        scroller = self.panel.locator(".jp-WindowedPanel-outer")
        full = int(scroller.evaluate("box => box.scrollHeight"))
        self.page.set_viewport_size({"width": WIDTH, "height": min(full + 150, TALLEST)})
        step = int(scroller.evaluate("box => box.clientHeight"))
        taken = []
        for number, top in enumerate(range(0, full, step)):
            scroller.evaluate(f"box => box.scrollTo(0, {top})")
            self.page.wait_for_timeout(300)
            taken.append(folder / f"{self.stem}-{number}.png")
            scroller.screenshot(path=taken[-1])
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        return taken

    # --- moving ---

    def controls(self) -> list[Control]:
        """Every control in an output of the page, radio buttons one for each group."""
        found = []
        for index in range(self.panel.locator(AREA).count()):
            area = self.panel.locator(AREA).nth(index)
            for kind, selector in CONTROLS.items():
                groups = (
                    area.locator(".widget-radio-box") if kind == "radio" else area.locator(selector)
                )
                for number in range(groups.count()):
                    handle = groups.nth(number)
                    found.append(Control(kind, f"{kind} {number} of output {index}", handle, area))
        return found

    def dead(self, control: Control) -> str:
        """Move a control; what is wrong with it, or an empty string.

        Sliders, dropdowns and checkboxes change a picture; a text or a choice is answered in words,
        a choice once the button beside it is pressed.
        """
        self._submit(control)
        pictured = control.kind in ("slider", "dropdown", "checkbox")
        look = self._pictures if pictured else self._words
        if pictured and not look(control):
            return f"{control.name} has no picture beside it"
        for move in self._moves(control):
            before = look(control)
            move()
            end = time.monotonic() + 5
            while time.monotonic() < end:
                if look(control) != before:
                    return ""
                self.page.wait_for_timeout(50)
        return f"{control.name} changes nothing"

    def _pictures(self, control: Control) -> list[str]:
        return list(control.area.evaluate(PICTURES))

    def _words(self, control: Control) -> list[str]:
        return [control.area.inner_text()]

    def _moves(self, control: Control) -> list[Any]:
        """Ways to move a control, tried until one has an effect."""
        handle = control.handle
        if control.kind == "slider":
            return [lambda: handle.press("ArrowRight"), lambda: handle.press("ArrowLeft")]
        if control.kind == "dropdown":
            count = handle.locator("option").count()
            current = handle.evaluate("box => box.selectedIndex")
            return [lambda: handle.select_option(index=(current + 1) % count)]
        if control.kind == "radio":
            return [lambda: (handle.locator("input").first.check(), self._submit(control))]
        if control.kind == "checkbox":
            return [handle.click]
        return [lambda: (handle.fill("7"), handle.press("Enter"))]

    def _submit(self, control: Control) -> None:
        """Press the button beside a choice, and wait until it has had its effect."""
        button = control.area.locator("button.widget-button")
        if control.kind == "radio" and button.count():
            button.first.click()
            self.page.wait_for_timeout(300)

    def response_times(self, slider: Control, presses: int) -> list[float]:
        """Milliseconds from key press to changed pixels, for ``presses`` moves to and fro."""
        slider.area.evaluate(STOPWATCH)
        for number in range(presses):
            slider.handle.press("ArrowRight" if number % 4 < 2 else "ArrowLeft")
            end = time.monotonic() + 3
            while slider.area.evaluate("area => area.stopwatch.length") <= number:
                assert time.monotonic() < end, f"press {number}: the picture did not change"
                self.page.wait_for_timeout(10)
        return list(slider.area.evaluate("area => area.stopwatch"))
