using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Mirror.Redirects;

/// <summary>Networks, of which there may be thousands: to find an address takes a look for each length of a prefix.</summary>
internal sealed class NetworkSet
{
    private readonly HashSet<(UInt128 First, int Length)> _networks = [];
    private readonly int[] _lengths;

    public NetworkSet(IEnumerable<IPNetwork> networks)
    {
        foreach (var network in networks)
        {
            // An address of IPv4 counts as one of IPv6 (RFC 4291, section 2.5.5.2).
            var length = network.PrefixLength + (network.BaseAddress.AddressFamily is AddressFamily.InterNetwork ? 96 : 0);
            _networks.Add((Bits(network.BaseAddress, length), length));
        }
        _lengths = [.. _networks.Select(network => network.Length).Distinct()];
    }

    public bool Contains(IPAddress address) => Array.Exists(_lengths, length => _networks.Contains((Bits(address, length), length)));

    private static UInt128 Bits(IPAddress address, int length)
    {
        var mask = length == 0 ? 0 : UInt128.MaxValue << (128 - length);
        return BinaryPrimitives.ReadUInt128BigEndian(address.MapToIPv6().GetAddressBytes()) & mask;
    }
}
