"""The web page: a program of its own, which asks the platform over HTTP as any user does.

platform   what the page asks of the platform
picture    a radiograph as a browser shows it
place      where a heat map is hottest, in a reader's words
sheet      an answer as a reader wants it: checks first, then findings by group
reading    from a file to picture and sheet, step by step
report     the sheet on paper
examples   radiographs for those who have none at hand
blocks     the Gradio application
shield     what a browser may load, and what of Gradio may be reached
app        the routes around it

templates/ what the browser shows; static/ its style and its hands; examples/ two drawn chests
"""
