using System.CommandLine;
using System.Net;
using Mirror.Configuration;

namespace Mirror.Commands;

/// <summary>
/// <c>health</c>: asks the server of a configuration whether it answers, for a container's health check. It reads the same file and
/// variables as the server, so address, prefix and TLS are not stated twice.
/// </summary>
internal static class HealthCommand
{
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(8);

    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        var command = new Command("health", "Ask the running server whether it answers. Ends with 0 if it does, else with 1.")
        {
            file.Argument,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (file.Load(parsed) is not { } configuration)
                return ExitCode.Failed;
            var http = configuration.Options.Http;
            var url = new Uri(LocalServer.UrlOf(http.Listen, http, isTls: http.Tls.IsOn), "v2/");
            if (await WhatIsWrongAsync(url, http, cancellationToken) is not { } wrong)
                return ExitCode.Ok;
            await parsed.InvocationConfiguration.Error.WriteLineAsync($"error: {url} {wrong}");
            return ExitCode.Failed;
        });
        return command;
    }

    private static async Task<string?> WhatIsWrongAsync(Uri url, HttpOptions http, CancellationToken cancellationToken)
    {
        // The certificate names the server's public name, and this request goes to this machine by another name. It only has to find out
        // whether the server answers.
        using var handler = new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false };
#pragma warning disable CA5359
        handler.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        handler.ConnectTo(http.Listen);
        using var client = new HttpClient(handler) { Timeout = MaxWait };
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, url);
            request.Headers.Host = LocalServer.HostOf(http);
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            // A server that asks for a login answers.
            var answers = response.IsSuccessStatusCode || response.StatusCode == HttpStatusCode.Unauthorized;
            return answers ? null : $"answered {(int)response.StatusCode}";
        }
        // A server that asks for a client's certificate answers as well.
        catch (HttpRequestException refused) when (refused.HttpRequestError == HttpRequestError.SecureConnectionError)
        {
            return null;
        }
        catch (HttpRequestException failure)
        {
            return $"cannot be reached: {failure.Message}";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"did not answer within {MaxWait.TotalSeconds} s";
        }
    }
}
