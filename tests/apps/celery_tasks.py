"""The tasks that celery_run.py asks for; a worker is started with this module. BROKER is the server's address."""

import os

from celery import Celery

address = os.environ["BROKER"]
app = Celery("tasks", broker=address, backend=address)
app.conf.update(worker_prefetch_multiplier=4, task_acks_late=True, result_expires=600, broker_connection_retry_on_startup=True,
                broker_transport_options={"visibility_timeout": 60})  # fmt: skip


@app.task
def add(a, b):
    return a + b


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def count(key):
    """How often it ran is counted in the server."""
    return app.backend.client.incr(key)


@app.task(bind=True, max_retries=3, default_retry_delay=0)
def stubborn(self, fails):
    if self.request.retries < fails:
        raise self.retry(exc=ValueError("not yet"), countdown=0.1)
    return self.request.retries


@app.task
def broken():
    raise RuntimeError("as it should")
