#!/bin/sh
# SeaweedFS's inner ports have no authentication, so they listen on loopback.
# Only the S3 port, which requires a key, is relayed to the container's network.
set -eu
socat TCP-LISTEN:8333,fork,reuseaddr TCP:127.0.0.1:8334 &
# Without telemetry, which is on by default, and without unused services.
exec weed -logtostderr=true mini -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 \
    -s3.port=8334 -s3.port.grpc=18334 -s3.port.iceberg=0 -s3.port.lance=0 \
    -s3.config="${IDENTITIES:?names the file with the keys}" -s3.iam=false -s3.autoCreateBucket=false \
    -s3.allowDeleteBucketNotEmpty=false -master.telemetry=false -webdav=false -admin.ui=false
