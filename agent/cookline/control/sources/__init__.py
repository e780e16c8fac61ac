"""Where apps' files come from: git, archives over HTTP, S3, folders. Fetched once, by the controller.

Fetcher(directory, ..)  in `fetch`: what control/stack/revision.freeze takes as `fetch`
git, download, bucket   one way each; `unpack` makes entries of an archive
"""
