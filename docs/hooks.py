"""Pages that are made when the docs are built."""

from mkdocs.structure.files import File

from byway.audit.page import audit_page


def on_files(files, config):
    """Add the audit's page."""
    files.append(File.generated(config, "audit.md", content=audit_page()))
    return files
