"""What cookline remembers between commands: SQLite for rows, files for contents and reports.

Store(directory)  the one door; import it from `cookline.control.store.store`
"""
