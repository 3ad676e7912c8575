using Mirror.Fuzz;

EdgeMap.Use();
return FuzzCommand.Run(args);
