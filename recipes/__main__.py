"""`python -m recipes`: the same as the console script `recipes`."""

from common.cli import main

raise SystemExit(main())
