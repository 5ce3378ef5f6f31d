"""What holds for every test."""

from hypothesis import settings

# No example may take too long: speed is measured by `make bench`, and machines are shared.
settings.register_profile("nsn", deadline=None, print_blob=True)
settings.load_profile("nsn")
