"""A page of results for a browser, without a network and without a server.

content.py    what a page says, as plain data
origin.py     where its rows come from: trainings, settings, files
charts.py     its charts, drawn by Plotly
scenes.py     which episodes are filmed for it
write.py      content -> index.html
templates/    the page as HTML, CSS and JavaScript
"""
