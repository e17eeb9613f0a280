"""A headless Chromium that opens pages from disk; tests that need it skip where there is none."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",  # as root; the pages are ours
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)


class Browser:
    """One window, driven by selenium."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def size(self, width: int, height: int) -> None:
        """Set the size of the page in CSS pixels, also below the least width of a window."""
        values = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", values)

    def open(self, page: Path, hash: str = "") -> None:
        """Open a page as a new document and wait until it is drawn."""
        self.driver.get("about:blank")
        self.driver.get(page.resolve().as_uri() + hash)
        self.wait("return document.documentElement.dataset.ready === '' || !document.querySelector('#failure').hidden")

    def show(self, page: Path, hash: str = "") -> None:
        """Show a view of a page: as a reader who edits the address, if the page is open, else as a new document."""
        if not self.driver.current_url.startswith(page.resolve().as_uri()):
            self.open(page, hash)
            return
        change = "history.replaceState(null, '', location.pathname + arguments[0]);"
        self.run(change + "dispatchEvent(new HashChangeEvent('hashchange'))", hash)

    def run(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def wait(self, script: str, seconds: float = 20) -> Any:
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.driver, seconds, poll_frequency=0.02).until(
            lambda driver: driver.execute_script(script)
        )

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def find_all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def console(self) -> list[str]:
        """Return messages of the console since the last call: errors, warnings, violations of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]

    def requests(self) -> list[str]:
        """Return the addresses that were requested since the last call."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        sent = (event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent")
        return [url for url in sent if url != "about:blank"]

    def picture(self, path: Path) -> None:
        """Save the whole page as PNG."""
        size = self.run("return [innerWidth, document.documentElement.scrollHeight]")
        self.size(size[0], size[1])
        self.driver.save_screenshot(str(path))


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Start Chromium with an empty profile; skip the test where it or selenium is missing.

    Args:
        folder: an empty folder, for its profile and downloads.
    """
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in programs:
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=programs[1])
    driver = webdriver.Chrome(options=options, service=service)
    try:
        downloads = {"behavior": "allow", "downloadPath": str(folder)}
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", downloads)
        driver.execute_cdp_cmd(
            "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        )
        yield Browser(driver)
    finally:
        driver.quit()
