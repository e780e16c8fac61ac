"""Hosts that are made, started, stopped and terminated in EC2.

Ec2Provider in `provider`; `cloud` speaks to AWS by boto3, `records` remembers which instance is whose.
"""
