"""One folder per recipe; see README.md beside this file for how to add one."""
