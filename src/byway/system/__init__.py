"""What Byway finds around it: cores, folders, and the source that Python runs."""
