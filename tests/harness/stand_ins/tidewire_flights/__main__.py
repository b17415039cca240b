from stand_in import serve

serve("flights")
