"""Define the test object for access rights, and the S3 action of each right."""

from face_app.common.rights import Right

RIGHTS_KEY = "test/rights"
"""Key of the test object: always the same, so that an access key without the right to delete leaves only one."""


ACTIONS = {
    Right.WRITE: "s3:PutObject",
    Right.READ: "s3:GetObject",
    Right.LIST: "s3:ListBucket",
    Right.DELETE: "s3:DeleteObject",
}
"""S3 action that grants each right, in the policies of AWS, MinIO and others."""
