"""Define the object with which rights are tried, and the action of each right in a policy."""

from face_app.common.rights import Right

RIGHTS_KEY = "test/rights"
"""Key of the object that is written, read and deleted: always the same, so a key that may not delete leaves one."""


ACTIONS = {
    Right.WRITE: "s3:PutObject",
    Right.READ: "s3:GetObject",
    Right.LIST: "s3:ListBucket",
    Right.DELETE: "s3:DeleteObject",
}
"""Names of the rights in the policies of AWS, MinIO and others."""
