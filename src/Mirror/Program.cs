using System.Collections;
using Mirror.Commands;

var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
    .ToDictionary(variable => (string)variable.Key, variable => (string?)variable.Value ?? "");

return await CommandLine.RunAsync(args, environment, Console.Out, Console.Error);
