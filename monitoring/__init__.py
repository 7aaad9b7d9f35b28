"""What is measured while the service runs.

metrics     every metric, declared once
backends    where they go: Ray's agent or prometheus_client
features    appearance of a radiograph, in a handful of numbers
prometheus  the scrape configuration
grafana     dashboards as code
"""
