using System.Collections;
using Mirror.Commands;
using Mirror.Configuration;
using Mirror.Hosting;

// Before anything else: see SighupSignal and UserSignals.
if (CommandLine.Serves(args))
{
    SighupSignal.Catch();
    UserSignals.Catch();
}

var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
    .ToDictionary(variable => (string)variable.Key, variable => (string?)variable.Value ?? "");

// Every HTTP client of the process has this proxy, unless it says otherwise.
HttpClient.DefaultProxy = new EnvironmentProxy(environment);

return await CommandLine.RunAsync(args, environment, Console.Out, Console.Error);
