"""The stand-in for Pulumi's `aws` plugin (7.51.1): what Causeway uses of it, over the EC2 wire API.

    resources/   a module per type: its properties as data, and the calls that make, read, change and remove
    functions/   a module per function

Names of properties, defaults and what needs a replacement are the real plugin's. Every object is tagged, in
the call that makes it, with the resource it belongs to (`marks`): one whose maker died can be found again.
"""
