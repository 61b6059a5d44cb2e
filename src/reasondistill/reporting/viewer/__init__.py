"""The table of rows in a page: which rows it holds, in what form, and the JavaScript that filters and sorts them."""
