# run and test are all that a newcomer needs; `make help` lists the rest.
