namespace Mirror.Redirects;

/// <summary>Registers the services of Redirects.</summary>
public static class RedirectsRegistration
{
    /// <summary>Adds <see cref="BlobAddresses"/>.</summary>
    public static IServiceCollection AddRedirects(this IServiceCollection services)
    {
        services.AddHttpClient(AwsAddresses.Client);
        return services
            .AddSingleton<BlobAddresses>()
            .AddSingleton<AwsAddresses>()
            .AddHostedService(provider => provider.GetRequiredService<AwsAddresses>());
    }
}
