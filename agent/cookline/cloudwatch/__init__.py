"""A CloudWatch-compatible metric sink on SQLite; usable without the rest of cookline.

from cookline.cloudwatch.store import MetricStore
from cookline.cloudwatch.sigv4 import Credential
from cookline.cloudwatch.app import create_app
from cookline.cloudwatch.serve import serve, running
"""
