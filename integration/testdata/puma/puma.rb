# Few threads and little patience, so that Puma often closes a connection that
# could have been kept.
bind "tcp://#{ENV.fetch("APP_ADDRESS")}"
environment "production"
threads 5, 5
persistent_timeout 1
quiet
