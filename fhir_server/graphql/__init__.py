"""GraphQL over the record (R4 graphql.html): the schema, what a query may cost, and how it is carried out.

graphql-core parses and validates; the queries are carried out here, in batches and through the repository of the caller. Nothing of
this is imported before somebody sends a query.
"""
