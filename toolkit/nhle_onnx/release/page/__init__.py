"""Reports as one HTML page for people. Slow to import (matplotlib): only where a page is made."""
