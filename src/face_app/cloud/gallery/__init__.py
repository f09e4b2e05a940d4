"""Show the stored faces on web pages: an index over the bucket, a feed from the broker, access, pages."""
