def recipe(node):
    pass
