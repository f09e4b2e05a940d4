"""Answer the requests: pages, pictures, JSON, the login, news."""
