"""`python -m keras_bert.cli`."""

import sys

from keras_bert.cli.main import main

sys.exit(main())
