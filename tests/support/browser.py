"""A browser without a window, for the tests of pages and for the pictures in the docs."""

import importlib.util
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Any

SECONDS = 300.0  # for something to appear; only a hang takes so long
BROWSERS, DRIVERS = ("chromium", "chromium-browser", "google-chrome"), ("chromedriver",)


def absent() -> str:
    """Why there is no browser; '' where there is one."""
    if importlib.util.find_spec("selenium") is None:
        return "needs selenium: pip install 'generative-sweeps[dev]'"
    if not _found(BROWSERS) or not _found(DRIVERS):
        return "needs Chromium and its driver: apt-get install chromium chromium-driver"
    return ""


class Browser:
    """Chromium, driven by selenium."""

    def __init__(self, width: int = 1500, height: int = 1000) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = _found(BROWSERS)
        for one in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
            options.add_argument(one)
        options.add_argument(f"--window-size={width},{height}")
        self.driver = webdriver.Chrome(options=options, service=Service(_found(DRIVERS)))

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.quit()

    def open(self, address: str) -> None:
        """Go to a page. Pages of one server differ behind the '#' only, so it is loaded anew."""
        self.driver.get("about:blank")
        self.driver.get(address)

    def text(self) -> str:
        """What a reader sees."""
        return str(self.driver.execute_script("return document.body.innerText"))

    def source(self) -> str:
        """What the page consists of now."""
        return str(self.driver.page_source)

    def wait_for(self, words: str, seconds: float = SECONDS) -> float:
        """Until the words are seen; returns after how many seconds."""
        began = time.monotonic()
        while words not in self.text():
            if time.monotonic() - began > seconds:
                raise AssertionError(f"'{words}' is not on {self.driver.current_url}, but:\n{self.text()[:3000]}")
            time.sleep(0.05)
        return time.monotonic() - began

    def press(self, words: str) -> None:
        """What bears the words: as a mouse does, for tabs hear nothing else."""
        script = """
            const all = [...document.querySelectorAll('button, a, [role=tab]')];
            return all.find(one => one.innerText.trim() === arguments[0]) || null"""
        self._until(script, words).click()

    def follow(self, words: str) -> None:
        """The first link that begins with the words."""
        script = """
            const found = [...document.querySelectorAll('a')].find(one => one.innerText.trim().startsWith(arguments[0]));
            if (found) found.click();
            return Boolean(found)"""
        self._until(script, words)
        time.sleep(0.5)
        self.driver.switch_to.window(self.driver.window_handles[-1])  # links in a description open a page of their own

    def _until(self, script: str, words: str) -> Any:
        end = time.monotonic() + SECONDS
        while not (found := self.driver.execute_script(script, words)):
            if time.monotonic() > end:
                raise AssertionError(f"nothing on {self.driver.current_url} is called '{words}'")
            time.sleep(0.1)
        return found

    def links(self, words: str) -> list[str]:
        """The words of all links that begin so, in their order on the page."""
        script = "return [...document.querySelectorAll('a')].map(one => one.innerText.trim())"
        return [one for one in self.driver.execute_script(script) if one.startswith(words)]

    def wait_for_picture(self, name: str) -> int:
        """Until a picture whose address holds the name is there, wherever on the page; returns its width."""
        script = "return [...document.images].map(one => [decodeURIComponent(one.src), one.naturalWidth])"
        end = time.monotonic() + SECONDS
        while True:
            for source, width in self.driver.execute_script(script):
                if name in source and width:
                    return int(width)
            if time.monotonic() > end:
                raise AssertionError(f"no picture on {self.driver.current_url} is called '{name}'")
            self.scroll()

    def scroll(self) -> None:
        """Everything that scrolls, by a page: charts are drawn when they are seen."""
        self.driver.execute_script(
            "[...document.querySelectorAll('*')].filter(e => e.scrollHeight > e.clientHeight + 50)"
            ".forEach(e => e.scrollBy(0, 300))"
        )
        time.sleep(0.5)

    def calm(self) -> None:
        """Without the panel of the assistant, which knows nothing of sweeps, and without hints."""
        for label in ("Close", "Got it"):
            self.driver.execute_script(
                "[...document.querySelectorAll('button')].filter(e => (e.ariaLabel || e.innerText).trim() === arguments[0])"
                ".forEach(e => e.click())",
                label,
            )
        time.sleep(0.5)

    def keep(self, path: Path) -> None:
        """What is seen, as a picture."""
        self.driver.save_screenshot(str(path))


def _found(names: tuple[str, ...]) -> str:
    return next((path for name in names if (path := shutil.which(name))), "")
