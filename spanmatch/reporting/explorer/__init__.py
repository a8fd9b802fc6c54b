"""The report as a page that answers: data in compact arrays, and the scripts that draw them."""
