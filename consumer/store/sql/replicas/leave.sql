-- Take the row of a process away, which has ended as it should.
DELETE FROM replica
WHERE id = @id
