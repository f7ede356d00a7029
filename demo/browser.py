"""A page in Debian's chromium, without a screen and without a network; for tests and pictures of docs."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1500,900",
)
_PATIENCE_S = 30
# The category of a result, and what its line says.
_PLACE = """
const of = Object.keys(categories).find(one => Object.values(categories[one]).flat().includes(arguments[0]));
return [of, results[arguments[0]].labels.about];
"""
_CELLS = "return [...document.querySelectorAll('tr')].map(row => [...row.cells].map(cell => cell.innerText))"


class Page:
    """A page that Snakemake's report made, as a person uses it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def find(self, css: str) -> WebElement:
        """Wait for an element that is shown."""

        def shown(driver: webdriver.Chrome) -> list[WebElement]:
            return [each for each in driver.find_elements(By.CSS_SELECTOR, css) if each.is_displayed()]

        return WebDriverWait(self.driver, _PATIENCE_S).until(shown)[0]

    def opening(self) -> dict[str, str]:
        """Read what the page opens with: label and text."""
        self.find(".prose dl")
        labels = self.driver.find_elements(By.CSS_SELECTOR, ".prose dt")
        texts = self.driver.find_elements(By.CSS_SELECTOR, ".prose dd")
        return {label.text: text.text for label, text in zip(labels, texts, strict=True)}

    def results(self) -> list[str]:
        """Name the results that the page has."""
        return list(self.driver.execute_script("return Object.keys(results)"))

    def show(self, path: str) -> None:
        """Open a result as a person does: home, its category, the eye in its line."""
        category, label = self.driver.execute_script(_PLACE, path)
        for home in self.driver.find_elements(By.XPATH, "//nav//ol/li[1]/a"):  # where it is not open already
            home.click()
        self._click(f"//a[span='{category}']")
        self._click(f"//tr[td='{label}']//a[@iconname='eye']")

    def _click(self, xpath: str) -> None:
        clickable = expected_conditions.element_to_be_clickable((By.XPATH, xpath))
        WebDriverWait(self.driver, _PATIENCE_S).until(clickable).click()

    def plot(self, path: str) -> tuple[int, int]:
        """Show a plot; gives its width and height, 0 where it is broken."""
        self.show(path)
        image = self.find("#app div.p-3 > img")
        loaded = "return arguments[0].complete && [arguments[0].naturalWidth, arguments[0].naturalHeight]"
        width, height = WebDriverWait(self.driver, _PATIENCE_S).until(
            lambda one: one.execute_script(loaded, image)
        )
        return width, height

    def table(self, path: str) -> list[list[str]]:
        """Show a table; gives the cells of its rows, the header first; else what it says in their place."""
        self.show(path)
        self.driver.switch_to.frame(self.find("#app iframe"))
        try:
            self.find("h1")
            found: list[list[str]] = self.driver.execute_script(_CELLS)
            return found or [[self.find("p").text]]
        finally:
            self.driver.switch_to.default_content()

    def requests(self) -> list[str]:
        """List what the page has asked for beside itself."""
        asked = "return performance.getEntriesByType('resource').map(one => one.name)"
        return [name for name in self.driver.execute_script(asked) if not name.startswith("data:")]

    def complaints(self) -> list[str]:
        """List what the browser's console says of errors."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


@contextmanager
def opened(page: Path) -> Iterator[Page]:
    """Open a page in a browser of its own."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    with tempfile.TemporaryDirectory(prefix="crdscache-browser-") as profile:
        options = webdriver.ChromeOptions()
        for option in (*_OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        options.binary_location = programs[0] or "chromium"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(programs[1] or "chromedriver"))
        try:
            driver.get(page.absolute().as_uri())
            yield Page(driver)
        finally:
            driver.quit()
