-- Ask for what a commit would ask for: constraints and triggers that are deferred.
SET CONSTRAINTS ALL IMMEDIATE
