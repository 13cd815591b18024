"""Stand-ins for Pulumi's provider plugins: processes that the engine starts and talks to over gRPC.

    plugin/    what every plugin needs: the wire, property schemas, check and diff
    aws/       resources and functions of `aws`, over the lab's EC2 endpoint (boto3's wire protocol)
    command/   `command:remote:*`, over SSH (paramiko)

They know what Causeway uses. Whatever else a program asks of them is an error, never ignored.
"""
