"""The service's application under other servers: the answers of `predict`, with Ray Serve from both of its replicas."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import reasondistill as rd
from reasondistill.data.scenes import generate
from services import EXAMPLE, export_scenes, until

UVICORN = """
import sys, uvicorn
from reasondistill.serving import asgi_application
uvicorn.run(asgi_application(sys.argv[1], host="0.0.0.0"), port=int(sys.argv[2]), log_level="warning")
"""
SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "serving" / "serve_with_ray.py"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_another_server_runs_the_application(tmp_path: Path) -> None:
    package, port = export_scenes(tmp_path), free_port()
    with subprocess.Popen([sys.executable, "-c", UVICORN, str(package), str(port)]) as process:
        try:
            with rd.Client(f"http://127.0.0.1:{port}") as client:
                until(lambda: client.ready() or process.poll() is not None, "ready")
                answer = client.explain(EXAMPLE)
            assert answer.explanation == rd.Student.load(package).explain(EXAMPLE).explanation
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) in (0, -signal.SIGTERM)  # uvicorn raises the signal again
        finally:
            process.kill()


@pytest.mark.slow
def test_two_replicas_answer_as_predict_does(tmp_path: Path) -> None:
    pytest.importorskip("ray.serve", reason='ray is not installed: pip install "ray[serve]"')
    package, port = export_scenes(tmp_path), free_port()
    command = [sys.executable, str(SCRIPT), str(package), "--replicas", "2", "--cores", "0.5", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert any(line.startswith("page") for line in process.stdout)
        examples = generate(60, seed=5)
        predictions = rd.Student.load(package).predict(examples)
        with rd.Client(f"http://127.0.0.1:{port}") as client, ThreadPoolExecutor(16) as threads:
            assert client.ready()
            answers = list(threads.map(lambda example: client.explain(example.fields), examples))
            runs = {client._http.get("/health").headers["x-request-id"].partition("-")[0] for _ in range(40)}
        for answer, prediction in zip(answers, predictions, strict=True):
            assert (answer.label, answer.explanation) == (prediction.label, prediction.explanation)
            assert answer.probabilities == pytest.approx(prediction.probabilities, abs=1e-5)
        assert len(runs) == 2  # an id begins with that of its process
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        if process.poll() is None:
            process.kill()
