# Read this, then run it as an administrator of the account.

# Who the service's pods are (service account panneuro/panneuro); all that it may do is assume the roles below
aws iam create-role --role-name 'PanNeuroService' --path '/' --max-session-duration 3600 --assume-role-policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE"
      },
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {
        "StringEquals": {
          "oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE:sub": "system:serviceaccount:panneuro:panneuro",
          "oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE:aud": "sts.amazonaws.com"
        }
      }
    }
  ]
}'
aws iam put-role-policy --role-name 'PanNeuroService' --policy-name panneuro --policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "sts:AssumeRole",
      "Resource": [
        "arn:aws:iam::000000000000:role/PanNeuroData"
      ]
    }
  ]
}'

# What the service assumes for every session: store main
aws iam create-role --role-name 'PanNeuroData' --path '/' --max-session-duration 3600 --assume-role-policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::123456789012:role/PanNeuroService"
      },
      "Action": "sts:AssumeRole"
    }
  ]
}'
aws iam put-role-policy --role-name 'PanNeuroData' --policy-name panneuro --policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Objects",
      "Effect": "Allow",
      "Action": [
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListMultipartUploadParts",
        "s3:PutObject"
      ],
      "Resource": [
        "arn:aws:s3:::learning-circuits/*"
      ]
    },
    {
      "Sid": "Listings",
      "Effect": "Allow",
      "Action": [
        "s3:GetBucketLocation",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:ListBucketVersions"
      ],
      "Resource": [
        "arn:aws:s3:::learning-circuits"
      ]
    },
    {
      "Sid": "Versions",
      "Effect": "Deny",
      "Action": [
        "s3:BypassGovernanceRetention",
        "s3:DeleteObjectVersion",
        "s3:PutObjectLegalHold",
        "s3:PutObjectRetention"
      ],
      "Resource": [
        "arn:aws:s3:::learning-circuits/*"
      ]
    }
  ]
}'
